"""Build the requests about operations, and about tokens and what is cut to fit them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from membudget import results
from membudget._answers import one
from membudget._calls import Builder, Call, encode, getting, posting, said


class SpeedRequests(Builder):
    """Requests about where the time goes, and about tokens."""

    def operation(self, given: Mapping[str, Any], workspace: str | None) -> dict[str, Any]:
        """An operation as it is sent, and sent again."""
        plain: dict[str, Any] = json.loads(
            encode(said({"workspace": workspace or self.workspace, **given}))
        )
        return plain

    def record_operations(self, operations: Sequence[Mapping[str, Any]]) -> Call[results.Receipt]:
        """POST /operations, of those that `operation` made; each has an id, its own or one that
        the service makes of it, so that again is once."""
        return posting("/operations", operations, one(results.Receipt))

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
