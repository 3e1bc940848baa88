"""The row of a run carries its agent's scopes; days and months take in hours that are over."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | Sequence[str] | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("usage_cells", sa.Column("scopes", sa.LargeBinary(), nullable=True))
    cells = sa.table("usage_cells", sa.column("scopes", sa.LargeBinary()))
    op.execute(cells.update().values(scopes=b""))  # to be appended to
    op.create_table(
        "usage_marks",
        sa.Column("workspace", sa.Text(), nullable=False),
        sa.Column("rolled", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace"),
        postgresql_with={"fillfactor": 70},
    )
    op.execute(  # until now every hour was counted at once
        "INSERT INTO usage_marks (workspace, rolled)"
        " SELECT workspace, max(start) + 3600 FROM usage_cells WHERE grain = 1 GROUP BY workspace"
    )


def downgrade() -> None:
    op.drop_table("usage_marks")
    op.drop_column("usage_cells", "scopes")
