"""Load the weights of the learned detector that ship."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from app.core.detection import Three
from app.core.learned import Weighed, Weights, weighed

FILE = Path(__file__).with_name("detector.json")


@cache
def weights() -> Weights:
    """What `training/detector/train.py` made; read once."""
    data = json.loads(FILE.read_bytes())
    return Weights(
        bias=_three(data["bias"]),
        temperature=data["temperature"],
        signals=_threes(data["signals"]),
        measures=frozenset(data["measures"]),
        words=_codes(data["words"]),
        pairs=_codes(data["pairs"]),
        parts=_codes(data["parts"]),
    )


def _codes(data: str) -> dict[str, str]:
    """Names and codes in turns, as one text: it is read faster so."""
    entries = data.split("|")
    return dict(zip(entries[::2], entries[1::2], strict=True))


def _threes(data: Mapping[str, Sequence[float]]) -> dict[str, Weighed]:
    return {name: weighed(_three(one)) for name, one in data.items()}


def _three(one: Sequence[float]) -> Three:
    return one[0], one[1], one[2]
