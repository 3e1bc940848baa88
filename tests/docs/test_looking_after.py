"""The page on looking after memories has the rules, and the retention, that hold."""

import json
import re
from dataclasses import asdict, fields

from app.core.lifecycle_rules import SPEC, Rules
from app.core.policy_checks import validate_document
from tests.data import REPOSITORY

PAGE = (REPOSITORY / "docs" / "looking-after-memories.md").read_text(encoding="utf-8")


def test_the_page_has_every_rule_and_its_default() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| ([\d.]+) \|", PAGE)
    assert [name for name, _ in rows] == [field.name for field in fields(Rules)]
    assert {name: float(number) for name, number in rows} == asdict(SPEC)


def test_the_retention_on_the_page_is_one_that_policy_takes() -> None:
    (example,) = re.findall(r"(?s)```json\n(.*?)```", PAGE)
    validate_document({"budget": json.loads(example)}, "w")
