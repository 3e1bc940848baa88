"""Hold what the service says of operations, of tokens, and of what was cut to fit them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from membudget._reading import Result
from membudget.results.usage import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFigures(Result):
    """What operations of a type, or of a name, come to; seconds."""

    promised = ("type", "count", "total_seconds")

    type: str = ""
    name: str | None = None
    """None: all names of the type."""
    count: int = 0
    failed: int = 0
    total_seconds: float = 0.0
    own_seconds: float = 0.0
    """Without what was measured inside."""
    average_seconds: float = 0.0
    min_seconds: float = 0.0
    max_seconds: float = 0.0
    p50_seconds: float = 0.0
    p95_seconds: float = 0.0
    share_pct: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression(Result):
    """Operations of one name that surely take longer than a week before."""

    promised = ("type", "name")

    type: str = ""
    name: str = ""
    measure: str = "p50"
    seconds: float = 0.0
    seconds_before: float = 0.0
    slower_pct: float = 0.0
    count: int = 0
    count_before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationStatistics(Result):
    """What the operations of a window come to."""

    promised = ("window", "items")

    window: Window = field(default_factory=Window)
    count: int = 0
    failed: int = 0
    total_seconds: float = 0.0
    items: tuple[OperationFigures, ...] = ()
    regressions: tuple[Regression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceBottleneck(Result):
    """Operations of one name that take much of all time."""

    promised = ("type", "name", "severity")

    type: str = ""
    name: str = ""
    share_pct: float = 0.0
    total_seconds: float = 0.0
    count: int = 0
    average_seconds: float = 0.0
    severity: str = "low"
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottlenecks(Result):
    """Where the time of a window goes, worst first."""

    promised = ("items",)

    window: Window = field(default_factory=Window)
    items: tuple[ServiceBottleneck, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredDependency(Result):
    """A dependency that did not hold."""

    name: str = ""
    depends_on: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism(Result):
    """What the operations of a run could do at the same time."""

    promised = ("groups", "critical_path", "saving_pct")

    groups: tuple[tuple[str, ...], ...] = ()
    critical_path: tuple[str, ...] = ()
    elapsed_seconds: float = 0.0
    critical_seconds: float = 0.0
    saving_seconds: float = 0.0
    saving_pct: float = 0.0
    is_certain: bool = False
    ignored: tuple[IgnoredDependency, ...] = ()
    operations: int = 0
    groups_total: int = 0
    """Names of all groups together, listed or not; so are the other two."""
    critical_total: int = 0
    ignored_total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount(Result):
    """The tokens of one text, and how sure that is."""

    promised = ("tokens", "encoding", "exactness")

    tokens: int = 0
    encoding: str = ""
    exactness: str = "heuristic"
    """`exact`, `calibrated` or `heuristic`."""
    family: str | None = None
    p95_error_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts(Result):
    """The tokens of texts, in their order."""

    promised = ("items", "total")

    items: tuple[TokenCount, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRatio(Result):
    """What is known of how a family of models counts."""

    promised = ("family", "ratio")

    family: str = ""
    taken: int = 0
    left_out: int = 0
    pairs: int = 0
    ratio: float = 1.0
    exactness: str = "heuristic"
    p95_error_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutKey(Result):
    """What a key lost."""

    promised = ("key", "tokens")

    key: str = ""
    tokens: int = 0
    sections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Minified(Result):
    """What was kept of a context."""

    promised = ("context", "tokens", "original_tokens", "dropped")

    context: Mapping[str, str] = field(default_factory=dict)
    tokens: int = 0
    original_tokens: int = 0
    max_tokens: int = 0
    over_budget: bool = False
    dropped: tuple[CutKey, ...] = ()
    unknown_keys: tuple[str, ...] = ()
    encoding: str = ""
    exactness: str = "heuristic"
    p95_error_pct: float | None = None
