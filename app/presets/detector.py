"""Load the weights of the learned detector that ship."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

from app.core.detection import Three
from app.core.learned import Weighed, Weights, weighed

FILE = "detector.json"


@cache
def weights() -> Weights:
    """What `training/detector/train.py` made; read once."""
    data = json.loads(files("app.presets").joinpath(FILE).read_bytes())
    return Weights(
        bias=_three(data["bias"]),
        temperature=data["temperature"],
        signals=_threes(data["signals"]),
        measures=frozenset(data["measures"]),
        stems=data["stems"],
    )


def _threes(data: Mapping[str, Sequence[float]]) -> dict[str, Weighed]:
    return {name: weighed(_three(one)) for name, one in data.items()}


def _three(one: Sequence[float]) -> Three:
    return one[0], one[1], one[2]
