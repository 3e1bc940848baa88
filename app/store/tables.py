"""Draw the tables: keys lead with `workspace`, moments are microseconds since 1970 in UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from app.core.usage import CELL_COLUMNS

metadata = MetaData()

HOT = {"fillfactor": 70}
"""For rows that are updated in place: room on the page, no index on what changes."""

workspaces = Table(
    "workspaces",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("tag", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

agents = Table(
    "agents",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("first_seen_at", BigInteger, nullable=False),
)

policy_heads = Table(
    "policy_heads",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""The version in force of each workspace; the row of `*` counts all changes."""

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("document", Text, nullable=False),
)

policy_files = Table(
    "policy_files",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("applied_at", BigInteger, nullable=False),
)

allocations = Table(
    "allocations",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("agent", Text),
    Column("project", Text),
    Column("user", Text),
    Column("session_id", Text),
    Column("run_id", Text),
    Column("model", Text),
    Column("task", Text),
    Column("policy", Text, nullable=False),
    Column("complexity", Text, nullable=False),
    Column("processing_us", Integer, nullable=False),
    Column("selected", Integer, nullable=False),
    Column("selected_tokens", BigInteger, nullable=False),
    Column("budget_tokens", BigInteger, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("monitor", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("request_hash", LargeBinary),
    Column("event_id", Text),
    Index("allocations_by_time", "workspace", "created_at", "id"),
    Index(
        "allocations_by_key",
        "workspace",
        "idempotency_key",
        unique=True,
        sqlite_where=text("idempotency_key IS NOT NULL"),
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    postgresql_with=HOT,
)

usage_events = Table(
    "usage_events",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("agent", Text, nullable=False),
    Column("complexity", Text),
    Column("profile", Text),
    Column("project", Text),
    Column("user", Text),
    Column("session_id", Text),
    Column("run_id", Text),
    Column("allocation_id", Text),
    Column("model", Text),
    Column("stage", Text),
    Column("budget_tokens", BigInteger),
    Column("used_tokens", BigInteger, nullable=False),
    Column("needed_tokens", BigInteger),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cost_nano_usd", BigInteger),
    Column("duration_seconds", Float),
    Column("success", Boolean),
    Column("late", Boolean, nullable=False),
    Column("scopes", Text),
    Column("details", Text),
    Column("fingerprint", LargeBinary, nullable=False),
    Index("usage_events_by_time", "workspace", "at", "id"),
    Index("usage_events_by_agent", "workspace", "agent", "at", "id"),
    Index(
        "usage_events_by_run",
        "workspace",
        "run_id",
        "at",
        sqlite_where=text("run_id IS NOT NULL"),
        postgresql_where=text("run_id IS NOT NULL"),
    ),
)
"""Append-only. `scopes` and `details` (task, error, alerts, metadata) are JSON texts."""


def _measures() -> list[Column[int]]:
    names = [name for name in CELL_COLUMNS if name != "sketch"]
    return [Column(n, BigInteger, nullable=n in ("pct_min", "pct_max")) for n in names]


usage_cells = Table(
    "usage_cells",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("grain", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("agent", Text, primary_key=True),
    Column("family", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("key2", Text, primary_key=True),
    *_measures(),
    Column("sketch", LargeBinary, nullable=False),
    Column("scopes", LargeBinary),
    sqlite_with_rowid=False,
    postgresql_with=HOT,
)
"""Caches: equal to `core.usage.fold` of the events, and `membudget-server audit` says so.

The key puts all cells of an agent and a period side by side: an event changes one page.
`scopes` of a run's row packs the cells of its agent's scopes (`core.packed`).
"""

usage_marks = Table(
    "usage_marks",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("rolled", BigInteger, nullable=False),
    Column("sealed", BigInteger),
    Column("costs", BigInteger),
    postgresql_with=HOT,
)
"""`rolled`: until which second days and months hold their hours; later hours are still open.
`sealed`: of days before this second events are kept no longer, and nothing is booked there;
null: of none. `costs`: the version of the budgets in USD that events count against; null: there
never was one."""

cost_heads = Table(
    "cost_heads",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""How often a workspace's budgets in USD and prices changed; the row of `*` counts all changes."""

cost_prices = Table(
    "cost_prices",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("document", Text, nullable=False),
)
"""Prices that a workspace states itself, as JSON."""

cost_budgets = Table(
    "cost_budgets",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("document", Text, nullable=False),
)
"""Budgets in USD, as JSON."""

cost_totals = Table(
    "cost_totals",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("budget", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    postgresql_with=HOT,
)
"""What windows of budgets have spent, in nano-USD: a cache of the events that they cover.

`start` is a window's first microsecond, or 0 with the run as `key`; `at` is when its last event
ended."""

cost_alerts = Table(
    "cost_alerts",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("budget", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("level", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("share", Text, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("cap", BigInteger, nullable=False),
    Index("cost_alerts_by_time", "workspace", "at", "id"),
)
"""Thresholds that were reached: the key lets each be raised once a window."""

BY_CODE_POINT = Text().with_variant(Text(collation="C"), "postgresql")
"""Texts that both databases put in the same order."""

pools = Table(
    "pools",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("root", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("family", Text),
    Column("idempotency_key", Text),
    Column("request_hash", LargeBinary),
    Column("answer", Text),
    Index(
        "pools_by_key",
        "workspace",
        "idempotency_key",
        unique=True,
        sqlite_where=text("idempotency_key IS NOT NULL"),
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    postgresql_with=HOT,
)
"""Pools. A root's row has the whole `family` as JSON, and is what whoever changes it locks; the row
of a pool that was carved out says where to look."""

memories = Table(
    "memories",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", BY_CODE_POINT, primary_key=True),
    Column("project", Text, nullable=False),
    Column("agent", Text),
    Column("scope", Text),
    Column("content", LargeBinary, nullable=False),
    Column("path", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("modified_at", BigInteger, nullable=False),
    Column("last_accessed_at", BigInteger),
    Column("access_count", BigInteger, nullable=False),
    Column("importance", Float, nullable=False),
    Column("confidence", Float),
    Column("relevance", Float),
    Column("used_by_agents", Text),
    Column("session", Text),
    Column("speaker", Text),
    Column("position", BigInteger),
    Column("pinned", Boolean, nullable=False),
    Column("group", Text),
    Column("expires_at", BigInteger),
    Column("embedding", LargeBinary),
    Column("metadata", Text),
    Column("state", Text, nullable=False),
    Column("state_at", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Index("memories_by_time", "workspace", "created_at", "id"),
    Index("memories_by_place", "workspace", "project", "created_at", "id"),
    Index("memories_by_session", "workspace", "project", "session", "position"),
    Index("memories_by_content", "workspace", "content"),
    Index("memories_by_agent", "workspace", "project", "agent", "created_at"),
    Index(
        "memories_by_pin",
        "workspace",
        "project",
        "created_at",
        sqlite_where=text("pinned"),
        postgresql_where=text("pinned"),
    ),
    postgresql_with=HOT,
)
"""`project` is "" for what belongs to no project; `state` is `active`, `archived` or `deleted`.

`content` is the digest of the text, which `memory_texts` keeps once a workspace.
"""

memory_texts = Table(
    "memory_texts",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("content", LargeBinary, primary_key=True),
    Column("text", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("length", Integer, nullable=False),
)
"""`words`: the text's words as they are searched for, in order, `length` of them."""

memory_counts = Table(
    "memory_counts",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("content", LargeBinary, primary_key=True),
    Column("encoding", Text, primary_key=True),
    Column("tokens", Integer, nullable=False),
)
"""Tokens of a content in an encoding, counted once."""

memory_keys = Table(
    "memory_keys",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""What requests that carried an Idempotency-Key were answered."""

memory_places = Table(
    "memory_places",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("memories", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
    postgresql_with=HOT,
)
"""Active memories of a project and the words in them."""

memory_words = Table(
    "memory_words",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("word", Text, primary_key=True),
    Column("memories", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    postgresql_with=HOT,
)
"""In how many active memories of a project a word stands."""

memory_actions = Table(
    "memory_actions",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("undone_at", BigInteger),
    Column("changes", Text, nullable=False),
    Index("memory_actions_by_time", "workspace", "created_at", "id"),
)
"""What lifecycle actions changed, with what it was before: the way back."""

memory_health = Table(
    "memory_health",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("figures", Text, nullable=False),
)
"""One row a day: tokens and counts as `/memories/health` gives them."""

job_runs = Table(
    "job_runs",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("job", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("due_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("outcome", Text),
    Index("job_runs_by_time", "workspace", "job", "due_at"),
    postgresql_with=HOT,
)
"""One row for each job and period, in the workspace `*`: who has it writes until `lease_until`."""

reports = Table(
    "reports",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("reports_by_period", "workspace", "kind", "period", unique=True),
    Index("reports_by_time", "workspace", "created_at", "id"),
)
"""`document` is the report as JSON (`core.reports`); a kind has one report for each period."""

recommendations = Table(
    "recommendations",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("window_days", Integer, nullable=False),
    Column("period", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("decided_at", BigInteger),
    Column("document", Text, nullable=False),
    Index("recommendations_by_period", "workspace", "period", "agent", unique=True),
    Index("recommendations_by_time", "workspace", "created_at", "id"),
    Index("recommendations_by_agent", "workspace", "agent", "created_at"),
    Index(
        "recommendations_open",
        "workspace",
        "agent",
        sqlite_where=text("status = 'open'"),
        postgresql_where=text("status = 'open'"),
    ),
    postgresql_with=HOT,
)
"""`document`: what was proposed and why, and how it was applied, as JSON."""

keys = Table(
    "keys",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", BY_CODE_POINT, primary_key=True),
    Column("name", Text, nullable=False),
    Column("rights", Text, nullable=False),
    Column("workspaces", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("digest", LargeBinary, nullable=False),
    Column("old_digest", LargeBinary),
    Column("old_until", BigInteger),
    Column("last_used_at", BigInteger),
    postgresql_with=HOT,
)
"""In the workspace `*`: whoever is let in. Secrets are kept as SHA-256 only; `rights` and
`workspaces` are JSON lists."""

key_changes = Table(
    "key_changes",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""The row of `*` counts changes to keys, for the replicas to see."""

token_ratios = Table(
    "token_ratios",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("family", Text, primary_key=True),
    Column("pairs", Integer, nullable=False),
    Column("ratios", LargeBinary, nullable=False),
    Column("errors", LargeBinary, nullable=False),
    postgresql_with=HOT,
)
"""What models reported of texts that were counted here: two sketches for each family of models."""

operation_marks = Table(
    "operation_marks",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("sealed", BigInteger, nullable=False),
    postgresql_with=HOT,
)
"""Until when operations are kept no longer: nothing is booked before it. Writers wait for it."""

operations = Table(
    "operations",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("run_id", Text),
    Column("parent", Text),
    Column("depends_on", Text),
    Column("success", Boolean),
    Column("fingerprint", LargeBinary, nullable=False),
    Index("operations_by_time", "workspace", "at", "id"),
    Index("operations_by_run", "workspace", "run_id", "at", "id"),
)
"""`depends_on`: names as JSON; NULL: not said."""


def _operation_cells(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("workspace", Text, primary_key=True),
        Column("start", BigInteger, primary_key=True, autoincrement=False),
        Column("type", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("parent", Text, primary_key=True),
        Column("count", BigInteger, nullable=False),
        Column("failed", BigInteger, nullable=False),
        Column("total_us", BigInteger, nullable=False),
        Column("least_us", BigInteger, nullable=False),
        Column("most_us", BigInteger, nullable=False),
        Column("sketch", LargeBinary, nullable=False),
        postgresql_with=HOT,
    )


operation_hours = _operation_cells("operation_hours")
operation_days = _operation_cells("operation_days")
"""What the operations of an hour or a day come to, by type, name and what they ran inside."""

complexity_feedback = Table(
    "complexity_feedback",
    metadata,
    Column("workspace", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("detected", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("complexity_feedback_by_time", "workspace", "created_at"),
)
"""What tasks turned out to be: `text` is the request, names masked, `digest` its SHA-256."""

TEXT_INDEX_TABLES = frozenset(
    "memory_numbers memory_index memory_index_config memory_index_data memory_index_idx"
    " memory_vectors".split()
)
"""Made by a migration on one of both databases (`textindex`), so not drawn here. They are exempt
from the rule of keys: a term carries its workspace."""
