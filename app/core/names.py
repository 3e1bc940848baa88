"""Find the agent that a typed name means, or say which names are near it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from app.core.errors import InvalidRequest
from app.core.profiles import AgentMatch, MatchKind

MAX_NAME_LENGTH = 200
MAX_CANDIDATES = 5
SUFFIXES = ("-role", "-expert", "-specialist")

SPELLING_SCORE = 0.99  # same letters, other case or separators
SUFFIX_SCORE = 0.95  # the suffix that says what kind of agent it is was left out
MIN_LENGTH_FOR_ONE_ERROR = 5  # below it one edit makes another word
MIN_LENGTH_FOR_TWO_ERRORS = 12
LONGEST_EXACT_WORD = 3  # of two errors none may hide in a word this short: `qa` is not `ml`
MIN_WORD_FOR_TWO_ERRORS = 8  # `github` is not `dlthub`

_SEPARATORS = re.compile(r"[\s_.\-]+")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True, weakref_slot=True)
class NameIndex:
    """The known agents of one policy book, arranged for look-up; compared by identity."""

    agents: frozenset[str]
    types: tuple[str, ...]
    by_name: Mapping[str, tuple[str, ...]]
    by_spelling: Mapping[str, tuple[str, ...]]
    by_stem: Mapping[str, tuple[str, ...]]
    by_type: Mapping[str | None, Mapping[str, str]]
    """For each type, and under None for all: agent → the name that errors are counted in."""
    stems_by_type: Mapping[str | None, Mapping[str, str]]
    """The same with the suffixes left out."""
    aliases: Mapping[str, str]

    @classmethod
    def build(cls, agents: Iterable[str], aliases: Mapping[str, str] | None = None) -> "NameIndex":
        """Index `type/name` agents and configured aliases of them."""
        known = sorted(set(agents))
        by_name: dict[str, list[str]] = {}
        by_spelling: dict[str, list[str]] = {}
        by_stem: dict[str, list[str]] = {}
        by_type: dict[str | None, dict[str, str]] = {None: {}}
        for agent in known:
            type_, name = split_agent(agent)
            plain = _plain(name)
            by_name.setdefault(name, []).append(agent)
            by_spelling.setdefault(_squeezed(name), []).append(agent)
            by_stem.setdefault(_squeezed(stem(plain)), []).append(agent)
            by_type[None][agent] = plain
            if type_ is not None:
                by_type.setdefault(type_, {})[agent] = plain
        return cls(
            agents=frozenset(known),
            types=tuple(sorted(type_ for type_ in by_type if type_ is not None)),
            by_name=_frozen(by_name),
            by_spelling=_frozen(by_spelling),
            by_stem=_frozen(by_stem),
            by_type=by_type,
            stems_by_type={
                type_: {agent: stem(name) for agent, name in names.items()}
                for type_, names in by_type.items()
            },
            aliases={
                _squeezed(alias): agent
                for alias, agent in (aliases or {}).items()
                if agent in by_type[None]
            },
        )


def split_agent(agent: str) -> tuple[str | None, str]:
    """Type and name of `type/name`; a name without a type has None."""
    type_, slash, name = agent.partition("/")
    return (type_, name) if slash else (None, agent)


def stem(name: str) -> str:
    """The name without the suffix that says what kind of agent it is."""
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix)
    return name


def match_agent(
    requested: str,
    agent_type: str | None,
    index: NameIndex,
    *,
    fuzzy: bool = True,
) -> AgentMatch:
    """Resolve a typed name: exact, then alias, then (if wanted) a small typing error.

    A name that fits nobody, or several, is matched as `default` under the name that was typed,
    with the nearest known names if typing errors are looked for. A type, given apart or before a
    slash, narrows the search.
    """
    if not requested.strip():
        raise InvalidRequest(
            "agent is empty; leave it out or name one",
            errors=[{"loc": ["body", "agent"], "msg": "must not be empty"}],
        )
    for field, text in (("agent", requested), ("agent_type", agent_type or "")):
        if len(text) > MAX_NAME_LENGTH:
            raise InvalidRequest(
                f"{field} is longer than {MAX_NAME_LENGTH} characters",
                errors=[{"loc": ["body", field], "msg": f"at most {MAX_NAME_LENGTH} characters"}],
            )
    return _match(requested, agent_type or None, index, fuzzy)


@lru_cache(maxsize=4096)
def _match(requested: str, agent_type: str | None, index: NameIndex, fuzzy: bool) -> AgentMatch:
    type_, name = _typed(requested, agent_type)

    exact = _exact(type_, name, index)
    if exact is not None:
        return _found(exact, requested, "exact", 1.0)

    known_type = _known_type(type_, index)
    if type_ is None or known_type is not None:
        alias = _alias(requested, known_type, name, index)
        if alias is not None:
            return _found(alias[0], requested, "alias", alias[1])
        near = _nearest(known_type, name, index) if fuzzy else None
        if near is not None:
            return _found(near[0], requested, "fuzzy", near[1])

    return AgentMatch(
        name=name,
        type=type_,
        requested=requested,
        match="default",
        match_score=0.0,
        candidates=_candidates(known_type, name, index) if fuzzy else (),
    )


def names_near(requested: str, index: NameIndex) -> list[str]:
    """The known names that are most like a typed one, the nearest first."""
    type_, name = split_agent(requested.strip())
    return [agent for agent, _ in _candidates(_known_type(type_, index), name, index)]


def _typed(requested: str, agent_type: str | None) -> tuple[str | None, str]:
    type_, name = split_agent(requested.strip())
    if type_ is not None and agent_type is not None and _plain(type_) != _plain(agent_type):
        raise InvalidRequest(
            "agent and agent_type name two different types; leave one of them out",
            errors=[{"loc": ["agent_type"], "msg": "contradicts the type before the slash"}],
        )
    return (type_ if type_ is not None else agent_type), name


def _exact(type_: str | None, name: str, index: NameIndex) -> str | None:
    if type_ is not None:
        agent = f"{type_}/{name}"
        return agent if agent in index.agents else None
    if name in index.agents:
        return name
    agents = index.by_name.get(name, ())
    return agents[0] if len(agents) == 1 else None


def _known_type(type_: str | None, index: NameIndex) -> str | None:
    """The known type that is meant: also in another case, in the singular, or one letter off."""
    if type_ is None:
        return None
    plain = _plain(type_)
    for known in index.types:
        if plain == _plain(known) or plain + "s" == _plain(known):
            return known
    near = [
        known
        for known in index.types
        if len(plain) >= MIN_LENGTH_FOR_ONE_ERROR
        and OSA.distance(plain, _plain(known), score_cutoff=1) <= 1
    ]
    return near[0] if len(near) == 1 else None


def _alias(
    requested: str, type_: str | None, name: str, index: NameIndex
) -> tuple[str, float] | None:
    configured = index.aliases.get(_squeezed(requested)) or index.aliases.get(_squeezed(name))
    if configured is not None and _has_type(configured, type_):
        return configured, 1.0
    squeezed = _squeezed(name)
    for agents, score in (
        (index.by_name.get(name, ()), SPELLING_SCORE),
        (index.by_spelling.get(squeezed, ()), SPELLING_SCORE),
        (index.by_stem.get(squeezed, ()), SUFFIX_SCORE),
    ):
        fitting = [agent for agent in agents if _has_type(agent, type_)]
        if fitting:
            return (fitting[0], score) if len(fitting) == 1 else None
    return None


def _nearest(type_: str | None, name: str, index: NameIndex) -> tuple[str, float] | None:
    """The one agent within reach of a typing error, if it is nearer than every other."""
    plain = _plain(name)
    allowed = _allowed_errors(plain)
    if not allowed:
        return None
    best: dict[str, int] = {}
    for names in (index.by_type, index.stems_by_type):
        for text, errors, agent in process.extract(
            plain,
            names.get(type_, {}),
            scorer=OSA.distance,
            processor=None,
            score_cutoff=allowed,
            limit=4,
        ):
            if _is_typing_error(plain, text, int(errors)):
                best[agent] = min(int(errors), best.get(agent, allowed))
    ranked = sorted(best.items(), key=lambda item: item[1])
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    agent, errors = ranked[0]
    return agent, round(1 - errors / max(len(plain), 1), 4)


def _allowed_errors(plain: str) -> int:
    return (len(plain) >= MIN_LENGTH_FOR_ONE_ERROR) + (len(plain) >= MIN_LENGTH_FOR_TWO_ERRORS)


def _is_typing_error(typed: str, known: str, errors: int) -> bool:
    if len(known) < MIN_LENGTH_FOR_ONE_ERROR:
        return errors == 0
    if errors < 2:
        return True
    words = list(zip(typed.split("-"), known.split("-"), strict=False))
    return typed.count("-") == known.count("-") and all(
        OSA.distance(one, other) <= _errors_in_word(max(len(one), len(other)))
        for one, other in words
    )


def _errors_in_word(length: int) -> int:
    return (length > LONGEST_EXACT_WORD) + (length >= MIN_WORD_FOR_TWO_ERRORS)


def _candidates(type_: str | None, name: str, index: NameIndex) -> tuple[tuple[str, float], ...]:
    plain = _plain(name)
    likeness: dict[str, float] = {}
    for text, names, scorer in (
        (plain, index.by_type, fuzz.WRatio),
        (stem(plain), index.stems_by_type, fuzz.ratio),
    ):
        for _, score, agent in process.extract(
            text, names.get(type_, {}), scorer=scorer, processor=None, limit=2 * MAX_CANDIDATES
        ):
            likeness[agent] = max(score / 100, likeness.get(agent, 0.0))
    ranked = sorted(likeness.items(), key=lambda item: (-item[1], item[0]))
    return tuple((agent, round(score, 4)) for agent, score in ranked[:MAX_CANDIDATES])


def _found(agent: str, requested: str, match: MatchKind, score: float) -> AgentMatch:
    type_, name = split_agent(agent)
    return AgentMatch(name=name, type=type_, requested=requested, match=match, match_score=score)


def _has_type(agent: str, type_: str | None) -> bool:
    return type_ is None or split_agent(agent)[0] == type_


def _plain(name: str) -> str:
    return _SEPARATORS.sub("-", name.strip().casefold()).strip("-")


def _squeezed(name: str) -> str:
    return _plain(name).replace("-", "")


def _frozen(groups: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(agents) for key, agents in groups.items()}
