"""Budgets in USD, what their windows have spent, the alerts raised; prices of one's own."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | Sequence[str] | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HOT = {"fillfactor": 70}


def upgrade() -> None:
    op.add_column("usage_marks", sa.Column("costs", sa.BigInteger(), nullable=True))
    op.create_table(
        "cost_heads",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace"),
    )
    op.create_table(
        "cost_prices",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "model"),
    )
    op.create_table(
        "cost_budgets",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name"),
    )
    op.create_table(
        "cost_totals",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "budget", "start", "key"),
        postgresql_with=HOT,
    )
    op.create_table(
        "cost_alerts",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("share", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("cap", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "budget", "start", "key", "level"),
    )
    op.create_index("cost_alerts_by_time", "cost_alerts", ["workspace", "at", "id"])


def downgrade() -> None:
    for table in ("cost_alerts", "cost_totals", "cost_budgets", "cost_prices", "cost_heads"):
        op.drop_table(table)
    op.drop_column("usage_marks", "costs")
