"""Ask the service what runs would have come to under another policy, and show it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from app.commands.service import refuse
from app.commands.trouble import MISUSED, Trouble
from app.core.errors import InvalidPolicy
from app.presets.loader import MAX_JSON_BYTES, load_json, load_yaml

Result = Mapping[str, Any]

MOST_AGENTS = 40
"""Agents that the table shows; `--json` has all of them."""

WHY_KEPT = {
    "manual": "asked for max_tokens",
    "reported": "their clients sent a budget that no policy gave",
    "raised": "raised by auto_bump",
    "without_agent": "named no agent",
    "other": "decided by a policy that is not known any more",
}


def read_multipliers(given: Sequence[str]) -> dict[str, float] | None:
    """Multipliers typed as `tier=number`. Errors: Trouble."""
    found: dict[str, float] = {}
    for one in given:
        tier, _, number = one.partition("=")
        try:
            found[tier.strip()] = float(number)
        except ValueError:
            raise Trouble(f"{one!r} is no multiplier such as complex=1.25.", code=MISUSED) from None
    return found or None


def read_policy_file(path: Path | None) -> Any:
    """A policy file as plain data, whether it is JSON or YAML. Errors: Trouble."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1).decode()
        return load_json(text) if text.lstrip("\ufeff").lstrip()[:1] == "{" else load_yaml(text)
    except OSError as error:
        raise Trouble(f"{path}: {error.strerror or type(error).__name__}", code=MISUSED) from error
    except UnicodeDecodeError as error:
        raise Trouble(f"{path}: is not UTF-8 text", code=MISUSED) from error
    except InvalidPolicy as error:
        raise Trouble(f"{path}: {error.detail}", code=MISUSED) from error


async def simulate(client: httpx.AsyncClient, body: Mapping[str, Any], screen: Console) -> Result:
    """The answer of the service, with a bar while it is made. Errors: Trouble."""
    asked = {name: value for name, value in body.items() if value is not None}
    headers = {"Accept": "application/x-ndjson"}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=screen, disable=not screen.is_terminal
    ) as bar:
        task = bar.add_task("runs", total=None)
        async with client.stream("POST", "/simulate", json=asked, headers=headers) as response:
            if response.status_code >= 400:
                await response.aread()
            refuse(response)
            async for line in response.aiter_lines():
                told = json.loads(line)
                if "done" in told:
                    bar.update(task, completed=told["done"], total=told["of"])
                elif "recorded" in told:
                    return dict(told)
                else:
                    raise Trouble(str(told.get("detail", "The service failed.")))
    raise Trouble("The answer was cut off; ask again.")


def show(result: Result, out: Console) -> None:
    """Print what the figures are about, those of all runs, and those of agents that moved."""
    for line in notes(result):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(figures_table(result))
    agents = agents_table(result)
    if agents.row_count:
        out.print(agents)


def notes(result: Result) -> Iterator[str]:
    """What the figures are about, in lines."""
    since, until = result["window"]["since"], result["window"]["until"]
    yield f"{result['recorded']['executions']:,} runs of {since} to {until}"
    if result["sealed_until"]:
        yield f"runs before {result['sealed_until']} are kept no longer"
    for reason, count in result["kept"].items():
        yield f"{count:,} kept their budget: {WHY_KEPT.get(reason, reason)}"
    if result["unbudgeted"]:
        yield f"{result['unbudgeted']:,} without a budget are left out"


def figures_table(result: Result) -> Table:
    """All runs: as they were, as they would have been, and the difference."""
    table = Table("", "recorded", "simulated", "difference")
    for column in table.columns[1:]:
        column.justify = "right"
    before, after, difference = result["recorded"], result["simulated"], result["difference"]
    for name in ("exceeded", "unmet"):
        table.add_row(
            name, *(_count(one[name]) for one in (before, after)), _more(difference[name])
        )
    for name in ("exceedance_rate", "unmet_rate"):
        shares = (_share(before[name]), _share(after[name]), _share(difference[name], "+"))
        table.add_row(name, *shares)
    for name in ("avg", "median", "p95"):
        pcts = [one["used_pct"] and one["used_pct"][name] for one in (before, after, difference)]
        table.add_row(f"used % {name}", _pct(pcts[0]), _pct(pcts[1]), _pct(pcts[2], "+"))
    for name in ("budget", "used"):
        tokens = [one["tokens"][name] for one in (before, after, difference)]
        table.add_row(f"tokens {name}", *map(_count, tokens[:2]), _more(tokens[2]))
    table.add_row("cost USD", *(one["cost_usd"] or "–" for one in (before, after, difference)))
    return table


def agents_table(result: Result) -> Table:
    """The agents whose figures would have been other, those with most tokens moved first."""
    table = Table("agent", "runs", "budget", "used", "exceeded", "unmet")
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.justify = "right"
    moved = {name: one for name, one in result["by_agent"].items() if _has_moved(one)}
    ranked = sorted(
        moved, key=lambda name: (-abs(moved[name]["difference"]["tokens"]["budget"]), name)
    )
    for name in ranked[:MOST_AGENTS]:
        difference = moved[name]["difference"]
        table.add_row(
            Text(name),
            _count(moved[name]["recorded"]["executions"]),
            _more(difference["tokens"]["budget"]),
            _more(difference["tokens"]["used"]),
            _more(difference["exceeded"]),
            _more(difference["unmet"]),
        )
    if len(ranked) > MOST_AGENTS:
        table.add_row(f"and {len(ranked) - MOST_AGENTS:,} more: --json")
    return table


def _has_moved(figures: Result) -> bool:
    difference = figures["difference"]
    tokens = difference["tokens"]
    return bool(tokens["budget"] or tokens["used"] or difference["exceeded"] or difference["unmet"])


def _count(number: int) -> str:
    return f"{number:,}"


def _more(number: int) -> str:
    return f"{number:+,}" if number else "0"


def _share(share: float, sign: str = "") -> str:
    return f"{100 * share:{sign}.1f} %"


def _pct(pct: float | None, sign: str = "") -> str:
    return "–" if pct is None else f"{pct:{sign}.1f} %"
