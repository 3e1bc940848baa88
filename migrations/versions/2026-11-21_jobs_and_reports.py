"""Runs of jobs, the reports they keep, recommendations; days whose events are kept no longer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | Sequence[str] | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HOT = {"fillfactor": 70}


def upgrade() -> None:
    op.add_column("usage_marks", sa.Column("sealed", sa.BigInteger(), nullable=True))
    op.create_table(
        "job_runs",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("workspace", "job", "period"),
        postgresql_with=HOT,
    )
    op.create_index("job_runs_by_time", "job_runs", ["workspace", "job", "due_at"])
    op.create_table(
        "reports",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "id"),
    )
    op.create_index("reports_by_period", "reports", ["workspace", "kind", "period"], unique=True)
    op.create_index("reports_by_time", "reports", ["workspace", "created_at", "id"])
    op.create_table(
        "recommendations",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("window_days", sa.Integer(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "id"),
        postgresql_with=HOT,
    )
    op.create_index(
        "recommendations_by_period",
        "recommendations",
        ["workspace", "period", "agent"],
        unique=True,
    )
    op.create_index("recommendations_by_time", "recommendations", ["workspace", "created_at", "id"])
    op.create_index(
        "recommendations_by_agent", "recommendations", ["workspace", "agent", "created_at"]
    )


def downgrade() -> None:
    op.drop_table("recommendations")
    op.drop_table("reports")
    op.drop_table("job_runs")
    op.drop_column("usage_marks", "sealed")
