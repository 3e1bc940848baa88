"""What tasks turned out to be."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | Sequence[str] | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "complexity_feedback",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("detected", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "digest"),
    )
    with op.batch_alter_table("complexity_feedback", schema=None) as batch_op:
        batch_op.create_index(
            "complexity_feedback_by_time", ["workspace", "created_at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("complexity_feedback", schema=None) as batch_op:
        batch_op.drop_index("complexity_feedback_by_time")

    op.drop_table("complexity_feedback")
