"""Build the requests about operations, and about tokens and what is cut to fit them."""

from collections.abc import Mapping, Sequence
from typing import Any

from membudget import results
from membudget._answers import one
from membudget._calls import Builder, Call, getting, posting, said


class SpeedRequests(Builder):
    """Requests about where the time goes, and about tokens."""

    def record_operations(
        self, given: Sequence[Mapping[str, Any]], workspace: str | None
    ) -> Call[results.Receipt]:
        """POST /operations; each has an id, its own or one made from it, so that again is once."""
        home = workspace or self.workspace
        body = [said({"workspace": home, **operation}) for operation in given]
        return posting("/operations", body, one(results.Receipt))

    def operation_statistics(self, wanted: Mapping[str, Any]) -> Call[results.OperationStatistics]:
        """GET /operations/statistics."""
        params = self._params(wanted)
        return getting("/operations/statistics", one(results.OperationStatistics), params)

    def operation_bottlenecks(self, wanted: Mapping[str, Any]) -> Call[results.Bottlenecks]:
        """GET /operations/bottlenecks."""
        return getting("/operations/bottlenecks", one(results.Bottlenecks), self._params(wanted))

    def parallelism(self, run_id: str, workspace: str | None) -> Call[results.Parallelism]:
        """GET /operations/parallelism."""
        params = self._params({"run_id": run_id, "workspace": workspace})
        return getting("/operations/parallelism", one(results.Parallelism), params)

    def count_tokens(self, asked: Mapping[str, Any]) -> Call[results.TokenCounts]:
        """POST /tokens/count."""
        return posting("/tokens/count", self._body(asked), one(results.TokenCounts))

    def report_tokens(
        self, model: str, reports: Sequence[Mapping[str, Any]], workspace: str | None
    ) -> Call[results.ModelRatio]:
        """POST /tokens/reports; sent twice it is heard twice."""
        body = self._body({"model": model, "reports": reports, "workspace": workspace})
        return posting("/tokens/reports", body, one(results.ModelRatio), is_repeatable=False)

    def minify(self, asked: Mapping[str, Any]) -> Call[results.Minified]:
        """POST /minify."""
        return posting("/minify", self._body(asked), one(results.Minified))
