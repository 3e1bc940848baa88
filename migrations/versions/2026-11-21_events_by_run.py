"""The events of a run, and what it spent, without reading a day of others."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | Sequence[str] | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_NAMED = sa.text("run_id IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "usage_events_by_run",
        "usage_events",
        ["workspace", "run_id", "at"],
        unique=False,
        sqlite_where=_NAMED,
        postgresql_where=_NAMED,
    )
    # totals of runs counted one day before their budget was made: they are counted anew, whole
    op.execute("DELETE FROM cost_totals WHERE key <> ''")


def downgrade() -> None:
    op.drop_index("usage_events_by_run", table_name="usage_events")
