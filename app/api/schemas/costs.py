"""Say what questions about costs look like on the wire."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.api.schemas.amounts import PLAIN, amount_of, is_plain, to_nano
from app.api.schemas.common import AgentName, Label, Name, Tokens, Workspace
from app.api.schemas.counts import RawUsage, counts_in
from app.api.schemas.usage import nano
from app.core.errors import InvalidRequest
from app.core.estimating import Call
from app.core.pricing import Counts, Service

MAX_CALLS = 1_000
MAX_USD = 1_000_000_000

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)

Usd = Annotated[Decimal, Field(strict=False, ge=0, le=MAX_USD), PLAIN, AfterValidator(to_nano)]
"""An amount of USD, as a number or a string."""


class CountsIn(BaseModel):
    """The tokens of a call."""

    model_config = STRICT

    input_tokens: Tokens | None = None
    """Tokens sent, cached ones included; 0 if left out."""
    output_tokens: Tokens | None = None
    cached_tokens: Tokens | None = None
    """The part of `input_tokens` that is read from a cache."""
    cache_write_tokens: Tokens | None = None
    """The part of `input_tokens` that is written to a cache."""
    reasoning_tokens: Tokens | None = None
    """The part of `output_tokens` that is reasoning."""
    usage: RawUsage | None = None
    """In place of the counts above: the usage that a provider reported, as it is."""
    service: Service | None = None
    """How the provider serves the call, if not the standard way."""

    def counts(self, *loc: str | int) -> tuple[Counts, Service]:
        """The counts, which must fit each other, and the service. Errors: InvalidRequest."""
        found = counts_in(vars(self), *loc)
        counts = Counts(
            input=found["input_tokens"] or 0,
            output=found["output_tokens"] or 0,
            cached=found["cached_tokens"] or 0,
            cache_write=found["cache_write_tokens"] or 0,
            cache_write_1h=found.get("cache_write_1h_tokens") or 0,
            reasoning=found["reasoning_tokens"] or 0,
        )
        for name, part, whole in (
            ("cached_tokens", counts.cached + counts.cache_write, counts.input),
            ("reasoning_tokens", counts.reasoning, counts.output),
        ):
            if part > whole:
                raise InvalidRequest(
                    "`input_tokens` include cached tokens and those written to a cache, and"
                    " `output_tokens` include reasoning: a part is larger than its whole.",
                    errors=[{"loc": ["body", *loc, name], "msg": "is more than its whole"}],
                )
        return counts, found["service"] or "standard"


class EstimateIn(CountsIn):
    """A call that is to be made."""

    model: Label
    """`gpt-4o`, `openai/gpt-4o`, `bedrock/anthropic.claude-…`."""
    workspace: Workspace
    """Whose prices hold."""

    def to_core(self) -> Call:
        """The call as a core value."""
        counts, service = self.counts()
        return Call(model=self.model, counts=counts, service=service)


class StageIn(CountsIn):
    """A call that remains to be made."""

    stage: Label | None = None
    model: Label


class PredictIn(BaseModel):
    """A run that is under way: with the calls that remain, or projected from earlier runs."""

    model_config = STRICT

    current_usd: Usd | None = None
    """What it has cost so far; what is booked of `run_id` if left out."""
    remaining: Annotated[list[StageIn], Field(max_length=MAX_CALLS)] | None = None
    """The calls that remain; if left out, earlier runs of the agent tell."""
    run_id: Label | None = None
    agent: AgentName | None = None
    """Whose earlier runs tell; those who have worked on `run_id` if left out."""
    workspace: Workspace

    def calls(self) -> list[Call]:
        """The remaining calls as core values."""
        found = []
        for index, one in enumerate(self.remaining or ()):
            counts, service = one.counts("remaining", index)
            found.append(Call(model=one.model, counts=counts, service=service, stage=one.stage))
        return found

    @property
    def current(self) -> int | None:
        """Nano-USD spent so far, if it says."""
        return nano(self.current_usd)


class RecommendModelIn(CountsIn):
    """A call for which a model is looked for."""

    quality: Literal["low", "medium", "high"]
    """The least grade that will do."""
    stage: Label | None = None
    """For your own records; it decides nothing."""
    budget: Annotated[int | float | str, Field(union_mode="left_to_right")] | None = None
    """What may be spent: the name of a budget, or an amount of USD."""
    agent: AgentName | None = None
    project: Name | None = None
    user: Label | None = None
    run_id: Label | None = None
    workspace: Workspace

    def limits(self) -> tuple[str | None, int | None]:
        """The name of the budget, or the nano-USD that may be spent. Errors: InvalidRequest."""
        given = self.budget
        if given is None:
            return None, None
        amount = amount_of(given)
        if amount is None:
            return str(given), None
        if not (is_plain(str(given)) and amount.is_finite() and 0 <= amount <= MAX_USD):
            raise InvalidRequest(
                "`budget` is the name of a budget, or an amount of USD that is not negative.",
                errors=[{"loc": ["body", "budget"], "msg": f"must be 0 to {MAX_USD:,}"}],
            )
        return None, nano(to_nano(amount))


Rate = Annotated[Decimal, Field(strict=False, ge=0, le=10_000, decimal_places=12), PLAIN]
"""USD for a million tokens."""


class RatesIn(BaseModel):
    """USD for a million tokens of each kind; what is left out costs as the kind it is part of."""

    model_config = STRICT

    input: Rate | None = None
    output: Rate | None = None
    cached: Rate | None = None
    """Of input that is read from a cache; as `input` if left out."""
    cache_write: Rate | None = None
    """Of input that is written to a cache; as `input` if left out."""
    cache_write_1h: Rate | None = None
    """The same, to be kept for an hour; as `cache_write` if left out."""
    reasoning: Rate | None = None
    """Of output that is reasoning; as `output` if left out."""
    per_request: Rate | None = None
    """USD for the call itself."""


class TierIn(RatesIn):
    """What differs for all tokens of calls with more input."""

    above: Annotated[int, Field(ge=1, le=100_000_000)]
    """Input tokens of one call above which it holds."""


class PriceIn(RatesIn):
    """What a model costs from a day on."""

    effective_from: Annotated[str, Field(max_length=40)] | None = None
    """A day (2026-01-31) or moment; ever since if left out."""
    tiers: Annotated[list[TierIn], Field(max_length=10)] | None = None
    """What differs for long inputs."""
    services: dict[Service, RatesIn] | None = None
    """What differs where a call is served otherwise: `{"batch": {"input": "1.25"}}`."""


class ModelPriceIn(PriceIn):
    """What a workspace pays for a model, in place of what is published."""

    prices: Annotated[list[PriceIn], Field(min_length=1, max_length=100)] | None = None
    """Several prices with their days, in place of the fields of one."""
    quality: Literal["low", "medium", "high"] | None = None
    """The grade for recommendations of models; as shipped if left out."""
    model: Label | None = None
    """As in the path, or left out."""
    version: Any = None
    """What a GET says; not taken."""
