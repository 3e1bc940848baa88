"""Find the real inputs and the golden vectors that tests compare with."""

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
VECTORS = REPOSITORY / "tests" / "vectors"


def require_all() -> bool:
    """Whether a missing server or data set fails the run instead of skipping its tests."""
    return os.environ.get("MEMBUDGET_TEST_REQUIRE_ALL", "") not in ("", "0")


def absent(what: str) -> NoReturn:
    """End a test whose surroundings are missing: a skip, or a failure where all is required."""
    if require_all():
        pytest.fail(f"{what} (MEMBUDGET_TEST_REQUIRE_ALL is set)", pytrace=False)
    pytest.skip(what)


def data_dir() -> Path:
    """The folder of real inputs: `$MEMBUDGET_TEST_DATA`, else `shared/data` beside the repository.

    Call it inside a test or a fixture; without the folder the test is skipped by name.
    """
    named = os.environ.get("MEMBUDGET_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        absent(f"real inputs are not here: set MEMBUDGET_TEST_DATA (looked in {folder})")
    return folder


def vectors(area: str, *, classes: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """The records of `tests/vectors/AREA.jsonl`, of the given classes only if some are named."""
    with (VECTORS / f"{area}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                record = json.loads(line)
                if classes is None or record["class"] in classes:
                    yield record
