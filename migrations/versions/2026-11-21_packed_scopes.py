"""The row of a run carries its agent's scopes; days and months take in hours that are over."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from app.core.usage import HOUR, Cell, CellId, roll_up
from app.core.windows import HOUR_S
from app.store.cell_reading import cell_rows, cells_of, unpacked
from app.store.cells import write_cells
from app.store.database import Notes, Tx

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


class Everybody(set[tuple[str, str]]):
    """Agents whose scopes get rows of their own: all of them."""

    def __contains__(self, _: object) -> bool:
        return True


def downgrade() -> None:
    connection = op.get_bind()
    notes = Notes(crowded=Everybody())
    tx = Tx(connection, connection.dialect.name == "sqlite", notes)
    periods = connection.exec_driver_sql("SELECT DISTINCT workspace, grain, start FROM usage_cells")
    for workspace, grain, start in sorted(tuple(row) for row in periods):
        scopes: dict[CellId, Cell] = {}
        for *at, packed in (row[:7] for row in cell_rows(tx, workspace, grain, start, start + 1)):
            for its, cell in unpacked(tuple(at), bytes(packed or b"")).items():
                scopes.setdefault(its, Cell()).add(cell)
        write_cells(tx, workspace, scopes)
    marks = connection.exec_driver_sql("SELECT workspace, rolled FROM usage_marks")
    for workspace, mark in [tuple(row) for row in marks]:  # what is open belongs to days, too
        rows = cell_rows(tx, workspace, HOUR, mark, mark + 2 * HOUR_S)
        hours = cells_of((*row[:6], b"", *row[7:]) for row in rows)
        write_cells(tx, workspace, roll_up(hours))
    op.drop_table("usage_marks")
    op.drop_column("usage_cells", "scopes")
