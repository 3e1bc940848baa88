"""Hold alert rules and dashboard to metrics that the service has, without running either."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import app.gateways.hotstore
import app.main  # noqa: F401 (whose imports register the other metrics)
from tests.data import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
WATCH: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.watch.yml").read_text("utf-8"))
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"][
    0
]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "membudget.json").read_text("utf-8"))

SELECTOR = re.compile(r"\b(?P<name>membudget_\w+)(?:\{(?P<labels>[^}]*)\})?")
PINNED = re.compile(r"^[a-z0-9./-]+:v?\d+(\.\d+)+$")
PROMETHEUS_LABELS = {"job", "instance", "le"}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, with where it stands."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def metrics() -> dict[str, set[str]]:
    """The names under which each metric is scraped, and its labels as Prometheus keeps them."""
    found = {}
    for collector in set(REGISTRY._collector_to_names):
        labels = {
            "exported_job" if name == "job" else name
            for name in getattr(collector, "_labelnames", ())
        }
        for name in REGISTRY._collector_to_names[collector]:
            found[name] = labels
    return found


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_expressions_name_metrics_and_labels_that_exist(where: str, expression: str) -> None:
    known = metrics()
    assert expression.count("(") == expression.count(")")
    named = list(SELECTOR.finditer(expression))
    assert named or "up{" in expression or "process_" in expression, where
    for one in named:
        assert one["name"] in known, where
        labels = set(re.findall(r"(\w+)\s*[=!]~?\s*\"", one["labels"] or ""))
        assert labels <= known[one["name"]] | PROMETHEUS_LABELS, where
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        given = {label.strip() for label in group.split(",")}
        its = {label for one in named for label in known[one["name"]]}
        assert given <= its | PROMETHEUS_LABELS, where


def test_every_metric_of_ours_is_watched() -> None:
    watched = {one["name"] for _, text in expressions() for one in SELECTOR.finditer(text)}
    ours = {name for name in metrics() if name.startswith("membudget_")}
    roots = {re.sub(r"_(total|created|bucket|count|sum)$", "", name) for name in ours}
    unwatched = {root for root in roots if not any(name.startswith(root) for name in watched)}
    assert unwatched <= {"membudget_hot_seconds"}


def test_every_alert_says_what_is_wrong_and_where_to_look() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert {"summary", "look"} <= rule["annotations"].keys()


def test_panels_do_not_cover_each_other() -> None:
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in DASHBOARD["panels"]]
    assert len(set(places)) == len(places) == len({one["id"] for one in DASHBOARD["panels"]})


def test_what_is_mounted_exists_and_nothing_is_open() -> None:
    for service in WATCH["services"].values():
        assert PINNED.match(service["image"]), service["image"]
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (REPOSITORY / Path(source)).is_file(), source
                assert mount.endswith(":ro")
            else:
                assert source in WATCH["volumes"]


def test_prometheus_carries_the_key_and_no_file_holds_it() -> None:
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"][0]
    assert scrape["authorization"]["credentials_file"] == "/run/secrets/membudget_key"
    assert WATCH["secrets"]["membudget_key"] == {"environment": "MEMBUDGET_ADMIN_KEY"}
    assert WATCH["services"]["prometheus"]["secrets"] == ["membudget_key"]
