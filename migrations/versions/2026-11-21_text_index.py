"""What memories are found by: a text index (FTS5 or tsvector), and indexes of agents and pins."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SQLITE = (
    """
    CREATE TABLE memory_numbers (
        number INTEGER PRIMARY KEY, workspace TEXT NOT NULL, id TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX memory_numbers_by_id ON memory_numbers (workspace, id)",
    # `ascii` leaves our words as they are: everything beyond ASCII belongs to a word.
    """
    CREATE VIRTUAL TABLE memory_index
    USING fts5(terms, content = '', columnsize = 0, detail = none, tokenize = 'ascii')
    """,
)

POSTGRESQL = (
    """
    CREATE TABLE memory_vectors (
        workspace TEXT NOT NULL, id TEXT COLLATE "C" NOT NULL, length SMALLINT NOT NULL,
        terms TSVECTOR NOT NULL, PRIMARY KEY (workspace, id)
    )
    """,
    "CREATE INDEX memory_vectors_by_term ON memory_vectors USING gin (terms)",
)


def upgrade() -> None:
    op.create_index(
        "memories_by_agent", "memories", ["workspace", "project", "agent", "created_at"]
    )
    op.create_index(
        "memories_by_pin",
        "memories",
        ["workspace", "project", "created_at"],
        sqlite_where=sa.text("pinned"),
        postgresql_where=sa.text("pinned"),
    )
    for statement in SQLITE if op.get_context().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TABLE memory_index")
        op.execute("DROP TABLE memory_numbers")
    else:
        op.execute("DROP TABLE memory_vectors")
    op.drop_index("memories_by_pin", "memories")
    op.drop_index("memories_by_agent", "memories")
