"""Operations with their hours and days, and what models reported of texts counted here."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | Sequence[str] | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

HOT = {"fillfactor": 70}


def upgrade() -> None:
    op.create_table(
        "token_ratios",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("pairs", sa.Integer(), nullable=False),
        sa.Column("ratios", sa.LargeBinary(), nullable=False),
        sa.Column("errors", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "family"),
        postgresql_with=HOT,
    )
    op.create_table(
        "operation_marks",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("sealed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace"),
        postgresql_with=HOT,
    )
    op.create_table(
        "operations",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("depends_on", sa.Text(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "id"),
    )
    op.create_index("operations_by_time", "operations", ["workspace", "at", "id"])
    op.create_index("operations_by_run", "operations", ["workspace", "run_id", "at", "id"])
    for name in ("operation_hours", "operation_days"):
        op.create_table(
            name,
            sa.Column("workspace", sa.Text(), nullable=False),
            sa.Column("start", sa.BigInteger(), nullable=False, autoincrement=False),
            sa.Column("type", sa.Text(), nullable=False),
            sa.Column("name", sa.Text(), nullable=False),
            sa.Column("parent", sa.Text(), nullable=False),
            sa.Column("count", sa.BigInteger(), nullable=False),
            sa.Column("failed", sa.BigInteger(), nullable=False),
            sa.Column("total_us", sa.BigInteger(), nullable=False),
            sa.Column("least_us", sa.BigInteger(), nullable=False),
            sa.Column("most_us", sa.BigInteger(), nullable=False),
            sa.Column("sketch", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("workspace", "start", "type", "name", "parent"),
            postgresql_with=HOT,
        )


def downgrade() -> None:
    op.drop_table("operation_days")
    op.drop_table("operation_hours")
    op.drop_table("operations")
    op.drop_table("operation_marks")
    op.drop_table("token_ratios")
