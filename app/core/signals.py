"""Name the words that say how hard a text is: the shipped tables, as data."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from app.core.patterns import Found, SignalSpec, SignalTable

__all__ = [
    "DEFAULT_SIGNALS",
    "DEFAULT_TABLE",
    "GROUPS",
    "QUERY_TABLE",
    "TOOLS",
    "TOOL_OF",
    "Found",
    "SignalSpec",
    "SignalTable",
]

TWO_TOOLS = "two tools"

_ONE_SPELLING = """
    airbyte airflow azure bigquery clickhouse confluence dagster databricks datadog dbt docker
    duckdb elasticsearch fivetran github gitlab grafana hubspot jenkins jira kafka looker metabase
    mongodb mysql oracle orchestra prefect react redis redshift salesforce servicenow snowflake
    spark streamlit superset tableau terraform
"""
# Two different keys named in one task are two tools; spellings of one key are not.
TOOLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **{name: (name,) for name in _ONE_SPELLING.split()},
        "aws": ("aws", "s3"),
        "dlthub": ("dlthub", "dlt"),
        "gcp": ("gcp", "google cloud"),
        "kubernetes": ("kubernetes", "k8s"),
        "postgres": ("postgres", "postgresql"),
        "power bi": ("power bi", "powerbi"),
    }
)
TOOL_OF: Mapping[str, str] = MappingProxyType(
    {spelling: tool for tool, spellings in TOOLS.items() for spelling in spellings}
)


def _phrases(*phrases: str) -> str:
    """Match any of these whole; a blank stands for any white space."""
    return rf"\b(?:{'|'.join(phrases)})\b".replace(" ", r"\s+")


def _words(words: str) -> str:
    return _phrases(*words.split())


def _signal(tier: str, name: str, pattern: str, weight: str | None = None) -> SignalSpec:
    return SignalSpec(
        tier=tier,
        name=name,
        pattern=pattern,
        weight=None if weight is None else Decimal(weight),
        distinct=name == TWO_TOOLS,
        shipped=True,
    )


DEFAULT_SIGNALS: tuple[SignalSpec, ...] = (  # spec A7: the families of the original
    _signal("simple", "look up", _words("list show get fetch find display view check")),
    _signal("simple", "state", _words("status state current")),
    _signal("simple", "how many", _phrases("how many")),
    _signal("simple", "count", _words("count")),
    _signal("simple", "what is", _phrases("what is")),
    _signal("simple", "where is", _phrases("where is")),
    _signal("simple", "which", _words("which")),
    _signal("complex", "investigate", _words("analyze investigate troubleshoot debug diagnose")),
    _signal("complex", "improve", _words("optimize improve enhance refactor")),
    _signal("complex", "evaluate", _words("compare evaluate assess review")),
    _signal("complex", "multi-step", _phrases(r"multi[-\s]step")),
    _signal("complex", "comprehensive", _words("comprehensive")),
    _signal("complex", "deep dive", _phrases(r"deep[-\s]dive")),
    _signal("complex", "in-depth", _phrases(r"in[-\s]depth")),
    _signal("complex", "fix", _words("fix resolve solve address")),
    _signal("complex", "root cause", _phrases("root causes?")),
    _signal("complex", "performance issue", _phrases("performance (?:issues?|problems?)")),
    _signal("multi-system", "cross-system", _phrases(r"cross[-\s]systems?")),
    _signal("multi-system", "end-to-end", _phrases(r"end[-\s]to[-\s]end")),
    _signal(
        "multi-system",
        "integration",
        _phrases("(?:integrat|coordinat|orchestrat)(?:es?|ed|ing|ions?)"),
    ),
    _signal("multi-system", "multiple systems", _phrases("multiple (?:tools|systems|services)")),
    _signal("multi-system", "architecture", _words("architecture design platform")),
    _signal("multi-system", "migration", _words("migrate migrations?")),
    _signal("multi-system", "data flow", _phrases("data flows?")),
    _signal("multi-system", "pipeline design", r"\bpipelines?\b[^\n]*?\b(?:analysis|design)\b"),
    _signal("multi-system", TWO_TOOLS, _phrases(*sorted(TOOL_OF))),
    _signal("simplicity", "simple", _words("simple quick just only"), "1.0"),
    _signal("complexity", "all", _words("all"), "0.1"),
    _signal("complexity", "complex", _words("every complex detailed"), "0.5"),
)

GROUPS: Mapping[str, int] = MappingProxyType(Counter(spec.tier for spec in DEFAULT_SIGNALS))
"""Signals of each tier in the shipped table: 7 simple, 10 complex, 9 multi-system."""

_TWO_POINTS = (
    "explain analyze compare evaluate synthesize architecture design optimize debug implement"
)
_ONE_POINT = "how why difference relationship between impact effect cause"
_QUERY_SIGNALS = (  # spec B1
    *(_signal("query", word, _words(word), "2") for word in _TWO_POINTS.split()),
    *(_signal("query", word, _words(word), "1") for word in _ONE_POINT.split()),
    _signal("query", "what if", _phrases("what if"), "1"),
)

DEFAULT_TABLE = SignalTable.compile(DEFAULT_SIGNALS)
QUERY_TABLE = SignalTable.compile(_QUERY_SIGNALS)
