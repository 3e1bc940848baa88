"""Group the calls of a client that are about operations and tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from membudget import results
from membudget._fields import Moment
from membudget.parts import Part


class Operations(Part):
    """Measured pieces of work, and where the time goes."""

    def record(
        self, operations: Sequence[Mapping[str, Any]], *, workspace: str | None = None
    ) -> results.Receipt:
        """Book up to 10,000, each once: `{"type", "name", "started_at", "duration_seconds", "id"?,
        "run_id"?, "parent"?, "depends_on"?, "success"?}`; without the service they are spooled."""
        return self._client._run(self._client._flows.record_operations(operations, workspace))

    def statistics(
        self,
        *,
        by: str = "type",
        since: Moment | None = None,
        until: Moment | None = None,
        workspace: str | None = None,
    ) -> results.OperationStatistics:
        """How often and how long, by type or by name; the last seven days unless said otherwise."""
        wanted = {"by": by, "since": since, "until": until, "workspace": workspace}
        return self._client._ask(self._requests.operation_statistics(wanted))

    def bottlenecks(
        self,
        *,
        min_pct: float = 5.0,
        since: Moment | None = None,
        until: Moment | None = None,
        workspace: str | None = None,
    ) -> results.Bottlenecks:
        """What takes at least so many per cent of the time, worst first, and what usually helps."""
        wanted = {"min_pct": min_pct, "since": since, "until": until, "workspace": workspace}
        return self._client._ask(self._requests.operation_bottlenecks(wanted))

    def parallelism(self, run_id: str, *, workspace: str | None = None) -> results.Parallelism:
        """What of a run could have run side by side, and what that would have saved."""
        return self._client._ask(self._requests.parallelism(run_id, workspace))


class Tokens(Part):
    """Counts of tokens, and contexts cut to fit them."""

    def count(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,
        encoding: str | None = None,
        workspace: str | None = None,
    ) -> results.TokenCounts:
        """The tokens of a text or of many, each with how exact that is."""
        key = "text" if isinstance(texts, str) else "texts"
        asked = {key: texts, "model": model, "encoding": encoding, "workspace": workspace}
        return self._client._ask(self._requests.count_tokens(asked))

    def report(
        self, model: str, reports: Sequence[Mapping[str, Any]], *, workspace: str | None = None
    ) -> results.ModelRatio:
        """Tell what a model counted: `{"text" | "counted_tokens", "tokens"}` each."""
        return self._client._ask(self._requests.report_tokens(model, reports, workspace))

    def minify(
        self,
        context: Mapping[str, str],
        max_tokens: int,
        *,
        important_keys: Sequence[str] | None = None,
        task: str | None = None,
        model: str | None = None,
        encoding: str | None = None,
        workspace: str | None = None,
    ) -> results.Minified:
        """Texts within a budget of tokens: important keys whole, of the rest what the task is
        about."""
        asked = {
            "context": context,
            "max_tokens": max_tokens,
            "important_keys": important_keys,
            "task": task,
            "model": model,
            "encoding": encoding,
            "workspace": workspace,
        }
        return self._client._ask(self._requests.minify(asked))
