"""Judge how hard a task is by weighed signals: what each tier's probability is taken to be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from operator import itemgetter
from string import ascii_letters, digits

from app.core.complexity import (
    BOOSTED,
    TASK_TIERS,
    Context,
    Signal,
    Verdict,
    advise,
    default,
    known,
)
from app.core.detection import Detection, Three
from app.core.reading import Reading, parts_of, read
from app.core.signals import Found

Weighed = tuple[float, float, float, int, float]
"""What something adds to the three log odds, the rung it speaks for most, and how strongly."""

Said = tuple[float, int, str]
"""How strongly something spoke for which rung, and its name."""

UNLISTED = "~"
"""Before a word that is judged by its parts: it is no evidence."""
MARKS = f"{UNLISTED}^ "
WORD = "word"
"""What a word or pair is called as a signal."""

LEAST_SHOWN = 0.15
MOST_SHOWN = 8
ENOUGH = 0.25
"""What the words of a text must weigh together to be evidence where no signal is found."""
RAREST = 0.002
"""No tier is less likely than this."""
NATS = 2.0
"""What a configured signal or a fact of weight 1 adds to the log odds of its tier."""
OWN = 1.0
"""The weight of a configured signal that states none."""
MOST_TIMES = 3
"""Occurrences of a configured signal that count."""

FAR, FARTHEST = 1.5, 2.0
"""What it costs to be two and three rungs off, where one costs 1."""

CODE = digits + ascii_letters
"""Three of these are what a word weighs: 20,000 words are read faster so than as numbers."""
ZERO = 30
STEP = 0.06
"""What a place in `CODE` away from `ZERO` weighs, of a word or a pair."""
FINE = 0.2
"""What a step is of a part of a word, in steps of a word."""
FEWEST = 4
"""Words from which on that is so."""
USUAL = 8.0
"""Words of a request whose words weigh what the list says: of more each weighs less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What signals and words weigh; made by `training/detector`."""

    bias: Three
    temperature: float
    """Log odds are divided by it; it suits real texts whose sources were left out of a fit."""
    signals: Mapping[str, Weighed]
    measures: frozenset[str]
    """Signals of size and form: alone they are no evidence."""
    words: Mapping[str, str]
    """Codes of words."""
    pairs: Mapping[str, str]
    """Codes of pairs of words, by their first letters."""
    parts: Mapping[str, str]
    """Codes of parts of words, by which words that are not listed are judged."""


def judge(
    text: str,
    context: Context,
    added: Sequence[Found],
    weights: Weights,
    detection: Detection,
) -> Verdict:
    """Judge a task; `added` are the workspace's own signals that the text has.

    The tier is the one with the least expected cost; without any evidence it is medium.
    """
    reading = read(text)
    odds, said = weigh(reading, weights)
    facts = (*_own(added), *known(context))
    if not (facts or _is_evidence(said, weights)):
        return default("task")

    chances = list(probabilities(odds, weights, detection))
    if facts:
        _shift(chances, facts)
    place = cheapest(chances, detection.under_cost)
    confidence = chances[place]
    signals = (*(signal for signal, _ in facts), *_shown(said, reading, weights.measures))
    return Verdict(
        tier=TASK_TIERS[place],
        confidence=confidence,
        source="detected",
        nearness=tuple(chances),
        signals=signals,
        advice=advise(place, confidence=confidence, words=reading.words, heard=bool(signals)),
    )


def weigh(reading: Reading, weights: Weights) -> tuple[Three, list[Said]]:
    """The log odds of at least each tier, and everything that was heard with what it weighs."""
    first, second, third = weights.bias
    said: list[Said] = []
    signals = weights.signals
    for name, strength in reading.signals.items():
        if name in signals:
            one, two, three, tier, most = signals[name]
            if strength != 1.0:
                one, two, three, most = (strength * part for part in (one, two, three, most))
            first += one
            second += two
            third += three
            said.append((most, tier, name))
    scale = share(len(reading.vocabulary))
    shown = LEAST_SHOWN / scale
    names, found_words = _of_words(reading, weights)
    if found_words:
        ones, twos, threes, _, _ = zip(*found_words, strict=True)
        first += scale * sum(ones)
        second += scale * sum(twos)
        third += scale * sum(threes)
        said += [
            (scale * found[4], found[3], name)
            for name, found in zip(names, found_words, strict=True)
            if found[4] >= shown
        ]
    return (first, second, third), said


def share(words: int) -> float:
    """What a word of a request counts that has so many."""
    return sqrt(USUAL / max(FEWEST, words))


def _of_words(reading: Reading, weights: Weights) -> tuple[list[str], list[Weighed]]:
    """Words and pairs that weigh something, and what; a word that is not listed by its parts."""
    words, pairs = weights.words, weights.pairs
    names = [pair for pair in reading.pairs if pair in pairs]
    found = [DECODED[pairs[pair]] for pair in names]
    for word in reading.vocabulary:
        if word in words:
            names.append(word)
            found.append(DECODED[words[word]])
        elif parts := parts_of(word):
            names.append(f"{UNLISTED}{word}")
            found.append(_spelled(parts, weights.parts))
    return names, found


def _spelled(parts: Sequence[str], codes: Mapping[str, str]) -> Weighed:
    first = second = third = 0.0
    for part in parts:
        if part in codes:
            found = DECODED[codes[part]]
            first += found[0]
            second += found[1]
            third += found[2]
    return weighed((first * FINE, second * FINE, third * FINE))


def weighed(three: Three) -> Weighed:
    """What something weighs, with the tier it speaks for most and how strongly."""
    first, second, third = three
    for_tier = (-first, first - second, second - third, third)
    best = max(for_tier)
    return first, second, third, for_tier.index(best), best


def coded(three: Three) -> str:
    """What a word weighs in three letters, rounded to `STEP` and within what they can say."""
    most = len(CODE) - 1
    return "".join(CODE[max(0, min(most, ZERO + round(weight / STEP)))] for weight in three)


def decoded(code: str) -> Weighed:
    """What a code of `coded` says."""
    first, second, third = (round((CODE.index(one) - ZERO) * STEP, 2) for one in code)
    return weighed((first, second, third))


class _Decoded(dict[str, Weighed]):
    """What codes say, each worked out once."""

    def __missing__(self, code: str) -> Weighed:
        found = self[code] = decoded(code)
        return found


DECODED = _Decoded()


def probabilities(odds: Three, weights: Weights, detection: Detection) -> tuple[float, ...]:
    """How likely each tier is; they sum to one."""
    scale = weights.temperature * detection.temperature
    first, second, third = odds
    bias = detection.bias
    medium = _chance((first + bias[0]) / scale)
    complex_ = min(medium, _chance((second + bias[1]) / scale))
    several = min(complex_, _chance((third + bias[2]) / scale))
    raw = (
        max(RAREST, 1 - medium),
        max(RAREST, medium - complex_),
        max(RAREST, complex_ - several),
        max(RAREST, several),
    )
    whole = sum(raw)
    return raw[0] / whole, raw[1] / whole, raw[2] / whole, raw[3] / whole


def _chance(log_odds: float) -> float:
    return 1 / (1 + exp(-max(-30.0, min(30.0, log_odds))))


def cheapest(chances: Sequence[float], under_cost: float) -> int:
    """The rung with the least expected cost: 1 for a rung too much, `under_cost` for one too
    little, half as much again for each further."""
    simple, medium, complex_, several = chances
    costs = (
        under_cost * (medium + FAR * complex_ + FARTHEST * several),
        simple + under_cost * (complex_ + FAR * several),
        FAR * simple + medium + under_cost * several,
        FARTHEST * simple + FAR * medium + complex_,
    )
    return costs.index(min(costs))


def _own(added: Sequence[Found]) -> Iterator[tuple[Signal, tuple[str, ...]]]:
    """What signals of the workspace's own say, as `known` does for the context."""
    for hit in added:
        spec = hit.spec
        weight = OWN if spec.weight is None else float(spec.weight)
        signal = Signal(
            tier=spec.tier,
            name=spec.name,
            matched=hit.matched,
            weight=weight * min(hit.count, MOST_TIMES),
        )
        yield signal, BOOSTED.get(spec.tier, (spec.tier,))


def _shift(chances: list[float], facts: Sequence[tuple[Signal, tuple[str, ...]]]) -> None:
    """Multiply the odds of the tiers that facts speak for."""
    scores = [log(chance) for chance in chances]
    for signal, tiers in facts:
        for tier in tiers:
            scores[TASK_TIERS.index(tier)] += NATS * min(signal.weight, 10.0)
    top = max(scores)
    raw = [max(RAREST, exp(score - top)) for score in scores]
    whole = sum(raw)
    chances[:] = [one / whole for one in raw]


def _is_evidence(said: Sequence[Said], weights: Weights) -> bool:
    """Whether anything but the size and form of a text was heard."""
    measures = weights.measures
    words = 0.0
    for weight, _, name in said:
        if name in weights.signals:
            if name not in measures:
                return True
        elif name[0] != UNLISTED:
            words += weight
    return words >= ENOUGH


def _shown(said: Sequence[Said], reading: Reading, measures: frozenset[str]) -> list[Signal]:
    """What weighed most, and the tier that each speaks for."""
    heard = [one for one in said if one[0] >= LEAST_SHOWN and one[2] not in measures]
    heard.sort(key=itemgetter(0), reverse=True)
    matched, signals = reading.matched, reading.signals
    return [
        Signal(
            tier=TASK_TIERS[tier],
            name=name if name in signals else WORD,
            matched=matched.get(name, "") if name in signals else name.strip(MARKS),
            weight=int(weight * 1000 + 0.5) / 1000,
        )
        for weight, tier, name in heard[:MOST_SHOWN]
    ]
