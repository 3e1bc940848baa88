"""Make the values that every request makes dozens of: frozen for readers, quick to make.

Python freezes a dataclass by going through `object.__setattr__` for every field, which triples the
time that making one takes. Values of the busiest paths are frozen by the type checker instead: an
assignment to a field is an error of mypy, not of the running program.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """A class as a keyword-only, slotted dataclass, equal and hashed by its fields."""
    make: Callable[[type[T]], type[T]] = dataclass(slots=True, kw_only=True, unsafe_hash=True)
    return make(cls)
