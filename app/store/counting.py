"""Keep what models reported of texts that were counted here."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from app.core.counting import Calibration, Pair, family_of, is_plausible, learn, pairs_in
from app.core.errors import DomainError
from app.core.usage import UsageEvent
from app.store.database import Tx
from app.store.tables import token_ratios

_TAIL = (
    "ON CONFLICT (workspace, family) DO UPDATE"
    " SET pairs = excluded.pairs, ratios = excluded.ratios, errors = excluded.errors"
)


class Reports(NamedTuple):
    """What one model reported."""

    model: str
    pairs: Sequence[Pair]


class Learned(NamedTuple):
    """What became of reports: those taken in, and what their family knows then."""

    family: str
    taken: int
    calibration: Calibration


def read_calibration(tx: Tx, workspace: str, family: str, *, lock: bool = False) -> Calibration:
    """What is known of a family; nothing, if nobody reported."""
    sql = (
        f"SELECT pairs, ratios, errors FROM token_ratios WHERE workspace = {tx.marks(1)}"
        f" AND family = {tx.marks(1, first=2)}"
    )
    if lock and not tx.is_sqlite:
        sql += " FOR UPDATE"
    rows = tx.fetch(sql, [workspace, family], prepare=tx.prepares)
    if not rows:
        return Calibration()
    pairs, ratios, errors = rows[0]
    return Calibration(pairs=pairs, ratios=bytes(ratios), errors=bytes(errors))


def take_reports(
    tx: Tx, workspace: str, reports: Sequence[Reports]
) -> Sequence[Learned | DomainError]:
    """Take reports in, each request's in its order."""
    return [_take(tx, workspace, family_of(one.model), one.pairs) for one in reports]


def learn_from_events(tx: Tx, workspace: str, events: Sequence[UsageEvent]) -> None:
    """Take in what events say of how their input was counted."""
    families: defaultdict[str, list[Pair]] = defaultdict(list)
    for model, pair in pairs_in(events):
        families[family_of(model)].append(pair)
    for family in sorted(families):
        _take(tx, workspace, family, families[family])


def _take(tx: Tx, workspace: str, family: str, pairs: Sequence[Pair]) -> Learned:
    plausible = [pair for pair in pairs if is_plausible(pair)]
    if not plausible:
        return Learned(family, 0, read_calibration(tx, workspace, family))
    # The row must be there to be locked: two replicas may be the first to hear of a family.
    first = [(workspace, family, 0, b"", b"")]
    tx.insert_many(token_ratios, first, tail="ON CONFLICT DO NOTHING")
    before = read_calibration(tx, workspace, family, lock=True)
    known = learn(before, family, plausible)
    row = (workspace, family, known.pairs, known.ratios, known.errors)
    tx.insert_many(token_ratios, [row], tail=_TAIL)
    return Learned(family, len(plausible), known)
