"""Open the one door to the thinking that the service and the client share.

In its repository that is `app.core`; a built wheel carries the modules named here, and what they
import, as `membudget._carried` (`hatch_build.py`). Nothing is imported before it is used.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.core import alerts as alerts
    from app.core import allocation as allocation
    from app.core import amounts as amounts
    from app.core import analytics as analytics
    from app.core import appraisal as appraisal
    from app.core import bottlenecks as bottlenecks
    from app.core import budgets as budgets
    from app.core import complexity as complexity
    from app.core import errors as errors
    from app.core import health as health
    from app.core import ids as ids
    from app.core import memory as memory
    from app.core import memory_metadata as memory_metadata
    from app.core import memory_tree as memory_tree
    from app.core import minifying as minifying
    from app.core import monitoring as monitoring
    from app.core import names as names
    from app.core import packing as packing
    from app.core import patterns as patterns
    from app.core import placement as placement
    from app.core import policy_checks as policy_checks
    from app.core import policy_documents as policy_documents
    from app.core import policy_reading as policy_reading
    from app.core import policybook as policybook
    from app.core import profiles as profiles
    from app.core import raw_usage as raw_usage
    from app.core import recommending as recommending
    from app.core import rendering as rendering
    from app.core import scoped as scoped
    from app.core import scoring as scoring
    from app.core import settling as settling
    from app.core import signals as signals
    from app.core import statistics as statistics
    from app.core import terms as terms
    from app.core import usage as usage
    from app.core import windows as windows
    from app.core import words as words
    from app.core.amounts import scale_down as scale_down
    from app.core.amounts import split_by_weight as split_by_weight
    from app.core.scoped import original_score as original_score
    from app.gateways import tokens as tokens
    from app.presets import legacy as legacy
    from app.presets import loader as loader

MODULES: Mapping[str, str] = {
    **{
        name: f"core.{name}"
        for name in (
            "alerts allocation amounts analytics appraisal bottlenecks budgets complexity errors "
            "health ids "
            "memory memory_metadata memory_tree minifying monitoring names packing patterns "
            "placement policy_checks policy_documents policy_reading policybook profiles "
            "raw_usage recommending rendering scoped scoring settling signals statistics terms "
            "usage windows words"
        ).split()
    },
    "legacy": "presets.legacy",
    "loader": "presets.loader",
    "tokens": "gateways.tokens",
}
"""What may be asked for, and where it is. `loader` needs PyYAML, `tokens` tiktoken."""

FUNCTIONS: Mapping[str, str] = {
    "original_score": "scoped",
    "scale_down": "amounts",
    "split_by_weight": "amounts",
}
"""Functions that may be asked for by themselves, and their modules."""

CARRIED = "membudget._carried"


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        found = getattr(_module(FUNCTIONS[name]), name)
    elif name in MODULES:
        found = _module(name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


@cache
def root() -> str:
    """The package that the modules are in."""
    return "app" if find_spec(CARRIED) is None else CARRIED


def _module(name: str) -> Any:
    return import_module(f"{root()}.{MODULES[name]}")


@cache
def shipped() -> Mapping[str, Mapping[str, Any]]:
    """The policy documents that ship, by workspace; `default` carries the profiles for all."""
    if root() != CARRIED:
        found: Mapping[str, Mapping[str, Any]] = _module("loader").shipped()
        return found
    data = json.loads(files(CARRIED).joinpath("shipped.json").read_bytes())
    legacy = _module("legacy")
    documents = dict(legacy.read_allocator_file(data["allocator"]).documents)
    documents["default"] = {**legacy.read_profiles_file(data["phase6"]), **documents["default"]}
    return documents


def shipped_profiles() -> dict[str, Any]:
    """The profiles that ship, in the keys of budget-profiles.json; the caller's own copy."""
    document = shipped()["default"]
    keys = _module("legacy").PROFILES_FILE_KEYS
    kept: dict[str, Any] = json.loads(json.dumps({key: document[key] for key in keys}))
    return kept


def yaml_data(text: str) -> Any:
    """A YAML document as plain data. Errors: ValueError; ImportError without PyYAML."""
    try:
        loader = _module("loader")
    except ImportError as error:
        raise ImportError("Reading YAML takes PyYAML: pip install 'membudget[yaml]'") from error
    try:
        return loader.load_yaml(text)
    except _module("errors").InvalidPolicy as error:
        raise ValueError(error.detail) from error
