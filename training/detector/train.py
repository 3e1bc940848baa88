"""Make the weights that ship, and measure them on texts of writers and sources that were left out.

    uv run python -m training.detector.train            writes app/presets/detector.json
    uv run python -m training.detector.train --check    only says whether it would be another file
    uv run python -m training.detector.train --ours     of our own texts alone

There is no chance in it: the same texts and priors give the same file.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.core.complexity import TASK_TIERS
from app.core.detection import Detection
from app.core.learned import (
    FINE,
    Weighed,
    Weights,
    cheapest,
    coded,
    probabilities,
    weigh,
    weighed,
)
from app.core.reading import parts_of
from training.detector.data import FOLDS, Example, collected, ours
from training.detector.fit import Floats
from training.detector.matrix import Columns, fit_all
from training.detector.scores import scores

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "app/presets/detector.json"
RESULTS = HERE / "results.json"

LEAST = 0.3
"""Pairs whose weights never reach this are left out: they take time to load and decide little."""
LEAST_PART = 0.04
"""The same of parts of words."""
TEMPERATURES = [round(0.6 + 0.05 * step, 2) for step in range(29)]
MEASURES = ("words", "commas", "more sentences", "more things to do", "more requests")
FORMS = {"states", "a name", "a number", "question mark", "this one"}


def weights_of(columns: Columns, fitted: Floats, temperature: float) -> Weights:
    """What a fit came to, as the service reads it."""
    three = [(round(float(a), 3), round(float(b), 3), round(float(c), 3)) for a, b, c in fitted]
    signals = {name: weighed(three[at]) for name, at in columns.signals.items()}
    spelled = fitted[columns.constant + 1 :]
    words = {
        name: coded(
            fitted[at]
            + sum(spelled[columns.parts[part]] for part in parts_of(name) if part in columns.parts)
        )
        for name, at in columns.words.items()
    }
    return Weights(
        bias=three[columns.constant],
        temperature=temperature,
        signals=signals,
        measures=frozenset(
            name
            for name in signals
            if name in FORMS or name.endswith(MEASURES) or name.startswith("object: ")
        ),
        words=words,
        pairs={
            name: coded(fitted[at])
            for name, at in columns.pairs.items()
            if np.abs(fitted[at]).max() >= LEAST
        },
        parts={
            name: coded(spelled[at] / FINE)
            for name, at in columns.parts.items()
            if np.abs(spelled[at]).max() >= LEAST_PART
        },
    )


def judged(example: Example, weights: Weights) -> tuple[int, float]:
    """The rung decided, and its confidence."""
    chances = probabilities(weigh(example.reading, weights)[0], weights, Detection())
    decided = cheapest(chances, Detection().under_cost)
    return decided, chances[decided]


def surprise(example: Example, weights: Weights) -> float:
    """Minus the log likelihood of its first label."""
    chances = probabilities(weigh(example.reading, weights)[0], weights, Detection())
    return -float(np.log(chances[example.first]))


def leave_out(examples: Sequence[Example]) -> list[Weights]:
    """For each group of writers and sources the weights fitted without."""
    with ProcessPoolExecutor() as pool:
        return list(pool.map(partial(_without, examples), range(FOLDS)))


def _without(examples: Sequence[Example], left_out: int) -> Weights:
    columns, fitted = fit_all([one for one in examples if one.fold != left_out], is_rough=True)
    return weights_of(columns, fitted, 1.0)


def main() -> None:
    """Fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--no-measure", action="store_true", help="keep temperature and results")
    parser.add_argument("--ours", action="store_true", help="fit on no texts but our own")
    options = parser.parse_args()
    examples = ours() if options.ours else [*ours(), *collected()]
    if options.check or options.no_measure:
        temperature = json.loads(OUT.read_text(encoding="utf-8"))["temperature"]
    else:
        temperature = measure(examples)
    columns, fitted = fit_all(examples)
    made = written(weights_of(columns, fitted, temperature))
    if options.check:
        sys.exit(0 if OUT.read_text(encoding="utf-8") == made else "another file")
    OUT.write_text(made, encoding="utf-8")


def measure(examples: Sequence[Example]) -> float:
    """The temperature, and in `results.json` how texts that were left out were judged with it.

    The temperature is the likeliest for other people's texts, scores are of texts that both labels
    agree on.
    """
    fitted = leave_out(examples)
    others = [one for one in examples if not one.is_ours] or examples
    losses = [
        sum(surprise(one, replace(fitted[one.fold], temperature=degree)) for one in others)
        for degree in TEMPERATURES
    ]
    best = TEMPERATURES[int(np.argmin(losses))]
    left_out = [replace(weights, temperature=best) for weights in fitted]
    agreed = [(one, *judged(one, left_out[one.fold])) for one in examples if one.is_agreed]
    found: dict[str, Any] = {"ours": _scores([row for row in agreed if row[0].is_ours])}
    if theirs := [row for row in agreed if not row[0].is_ours]:
        found["collected"] = _scores(theirs)
    print(json.dumps(found, indent=1), best)
    found["writers"] = {}
    for writer in sorted({one.writer for one in examples if one.writer is not None}):
        one = _scores([row for row in agreed if row[0].writer == writer])
        found["writers"][str(writer)] = {
            key: one[key] for key in ("texts", "accuracy", "mean_tier_error", "under")
        }
    found["tiers"] = list(TASK_TIERS)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return best


def _scores(judged_: Sequence[tuple[Example, int, float]]) -> dict[str, Any]:
    return scores(
        [one.first for one, _, _ in judged_],
        [decided for _, decided, _ in judged_],
        [confidence for _, _, confidence in judged_],
    )


def written(weights: Weights) -> str:
    """The file, one entry a line, sorted."""
    parts = {
        "bias": json.dumps(weights.bias),
        "temperature": json.dumps(weights.temperature),
        "measures": json.dumps(sorted(weights.measures)),
        "signals": _entries(weights.signals),
        "words": _coded_entries(weights.words),
        "pairs": _coded_entries(weights.pairs),
        "parts": _coded_entries(weights.parts),
    }
    return "{\n" + ",\n".join(f'"{key}": {part}' for key, part in parts.items()) + "\n}\n"


def _entries(weighed_: Mapping[str, Weighed]) -> str:
    lines = (
        f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(weighed_[name][:3])}"
        for name in sorted(weighed_)
    )
    return "{\n" + ",\n".join(lines) + "\n}"


def _coded_entries(codes: Mapping[str, str]) -> str:
    """Names and codes in turns, as one text."""
    parts = (part for name in sorted(codes) for part in (name, codes[name]))
    return json.dumps("|".join(parts), ensure_ascii=False)


if __name__ == "__main__":
    main()
