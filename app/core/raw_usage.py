"""Read the token counts that providers report, each in their own shape, as one kind of counts.

Providers differ in what their input holds: OpenAI, Gemini, LiteLLM and OpenTelemetry count cached
tokens in it, Anthropic counts beside it what was read from a cache and written to one. Ours is all
that was sent.
"""

from collections.abc import Mapping
from typing import Any, Literal

from app.core.errors import InvalidRequest
from app.core.pricing import Counts, Service
from app.core.usage import MAX_TOKENS
from app.core.values import value

Shape = Literal["openai-chat", "openai-responses", "anthropic", "gemini", "otel", "litellm"]
Raw = Mapping[str, Any]

OTEL = "gen_ai.usage."
SERVED: Mapping[str, Service] = {
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
    "fast": "fast",
}
"""Words of providers for how a call was served; all others mean the standard way."""


@value
class Reported:
    """What a provider said of one call."""

    shape: Shape
    counts: Counts
    service: Service = "standard"

    def fields(self) -> dict[str, Any]:
        """The counts by the names that an event has for them."""
        counts = self.counts
        return {
            "input_tokens": counts.input,
            "output_tokens": counts.output,
            "cached_tokens": counts.cached,
            "cache_write_tokens": counts.cache_write or None,
            "cache_write_1h_tokens": counts.cache_write_1h or None,
            "reasoning_tokens": counts.reasoning or None,
            "service": None if self.service == "standard" else self.service,
        }


def read_usage(raw: Raw) -> Reported:
    """The counts of a provider's usage object, or of the whole response that holds it.

    Errors: InvalidRequest naming the field.
    """
    served = raw.get("service_tier")
    for name in ("usage", "usageMetadata", "usage_metadata"):
        inner = raw.get(name)
        if isinstance(inner, Mapping):
            raw = inner
            break
    service = SERVED.get(str(raw.get("service_tier") or served), "standard")
    for knows, read in _SHAPES:
        if knows(raw):
            shape, counts = read(raw)
            return Reported(shape=shape, counts=counts, service=service)
    raise InvalidRequest(
        "The usage has none of the shapes that are known here: OpenAI (chat, responses), Anthropic,"
        " Gemini, OpenTelemetry GenAI attributes, LiteLLM. Send it as the provider gave it, or"
        " give input_tokens and output_tokens instead.",
        errors=[{"loc": ["body", "usage"], "msg": "has no known shape"}],
    )


def _otel(raw: Raw) -> tuple[Shape, Counts]:
    return "otel", Counts(
        input=_tokens(raw, f"{OTEL}input_tokens", f"{OTEL}prompt_tokens"),
        output=_tokens(raw, f"{OTEL}output_tokens", f"{OTEL}completion_tokens"),
        cached=_tokens(
            raw,
            f"{OTEL}cache_read.input_tokens",
            f"{OTEL}cache_read_input_tokens",
            f"{OTEL}input_tokens.cached",
        ),
        cache_write=_tokens(
            raw,
            f"{OTEL}cache_creation.input_tokens",
            f"{OTEL}cache_creation_input_tokens",
            f"{OTEL}input_tokens.cache_write",
        ),
        reasoning=_tokens(raw, f"{OTEL}reasoning.output_tokens", f"{OTEL}output_tokens.reasoning"),
    )


def _gemini(raw: Raw) -> tuple[Shape, Counts]:
    thoughts = _tokens(raw, "thoughtsTokenCount", "thoughts_token_count")
    prompt = _tokens(raw, "promptTokenCount", "prompt_token_count")
    results = _tokens(raw, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    answer = _tokens(raw, "candidatesTokenCount", "candidates_token_count")
    return "gemini", Counts(
        input=prompt + results,
        output=answer + thoughts,
        cached=_tokens(raw, "cachedContentTokenCount", "cached_content_token_count"),
        reasoning=thoughts,
    )


def _chat(raw: Raw) -> tuple[Shape, Counts]:
    sent = _object(raw, "prompt_tokens_details")
    came = _object(raw, "completion_tokens_details")
    is_litellm = "cache_read_input_tokens" in raw or "cache_creation_input_tokens" in raw
    prompt = _tokens(raw, "prompt_tokens")
    cached = _tokens(raw, "cache_read_input_tokens") or _tokens(sent, "cached_tokens")
    written = _tokens(raw, "cache_creation_input_tokens") or _tokens(
        sent, "cache_creation_tokens", "cache_write_tokens"
    )
    if cached + written > prompt:  # older versions of LiteLLM counted them beside the prompt
        prompt += cached + written
    return "litellm" if is_litellm else "openai-chat", Counts(
        input=prompt,
        output=_tokens(raw, "completion_tokens"),
        cached=cached,
        cache_write=written,
        reasoning=_tokens(came, "reasoning_tokens"),
    )


def _anthropic(raw: Raw) -> tuple[Shape, Counts]:
    cached = _tokens(raw, "cache_read_input_tokens")
    by_age = _object(raw, "cache_creation")
    hour = _tokens(by_age, "ephemeral_1h_input_tokens")
    written = _tokens(raw, "cache_creation_input_tokens")
    written = max(written, hour + _tokens(by_age, "ephemeral_5m_input_tokens"))
    return "anthropic", Counts(
        input=_tokens(raw, "input_tokens") + cached + written,
        output=_tokens(raw, "output_tokens"),
        cached=cached,
        cache_write=written,
        cache_write_1h=hour,
    )


def _responses(raw: Raw) -> tuple[Shape, Counts]:
    sent = _object(raw, "input_tokens_details")
    came = _object(raw, "output_tokens_details")
    return "openai-responses", Counts(
        input=_tokens(raw, "input_tokens"),
        output=_tokens(raw, "output_tokens"),
        cached=_tokens(sent, "cached_tokens"),
        cache_write=_tokens(sent, "cache_write_tokens", "cache_creation_tokens"),
        reasoning=_tokens(came, "reasoning_tokens"),
    )


def _has(*names: str) -> Any:
    return lambda raw: any(name in raw for name in names)


_SHAPES = (
    (lambda raw: any(str(name).startswith(OTEL) for name in raw), _otel),
    (_has("promptTokenCount", "prompt_token_count", "candidatesTokenCount"), _gemini),
    (_has("prompt_tokens", "completion_tokens"), _chat),
    (_has("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"), _anthropic),
    (_has("input_tokens", "output_tokens"), _responses),
)
"""In the order in which they are tried; the last one is Anthropic's as well where nothing was
cached, which comes to the same."""


def _object(raw: Raw, name: str) -> Raw:
    found = raw.get(name)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise _bad(name, "must be an object")
    return found


def _tokens(raw: Raw, *names: str) -> int:
    """The first of these counts that is there; 0 if none is."""
    for name in names:
        found = raw.get(name)
        if found is None:
            continue
        if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= MAX_TOKENS:
            raise _bad(name, f"must be a whole number of tokens, 0 to {MAX_TOKENS:,}")
        return found
    return 0


def _bad(name: str, msg: str) -> InvalidRequest:
    return InvalidRequest(
        f"usage.{name} {msg}.", errors=[{"loc": ["body", "usage", name], "msg": msg}]
    )
