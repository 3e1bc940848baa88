"""Make reports that use every part of the model, with names as hostile as data can be."""

from typing import Any

from app.core.reports import Bar, Chart, Column, Figure, Report, Section, Table, Todo

NOON = 1_795_262_400_000_000
"""2026-11-21 12:00 UTC in microseconds."""
DAY = 86_400_000_000

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "a|b `c` *d* _e_ [f](javascript:alert(1)) #g ~h~ \\",
    "مدير البيانات",
    "left\u202eright\u2066inside",
    "x" * 500,
    "🤖🧠",
    "two\nlines\tand\x00nul",
    "```\n# heading\n```",
    "&lt;b&gt; &amp; </style></title></svg>",
)


def figure(label: str = "Runs", value: Any = 3, unit: Any = "count", **more: Any) -> Figure:
    return Figure(label=label, value=value, unit=unit, **more)


def section(name: str = "dbt-expert", **more: Any) -> Section:
    """A section in which a name stands wherever names can stand."""
    given: dict[str, Any] = {
        "key": "usage",
        "title": "Usage",
        "text": f"{name} ran.\n\nIt ran well.",
        "figures": (figure(label=name, low=1.5, high=4.5, note=name),),
        "charts": (
            Chart(
                title="Used by agent",
                unit="percent",
                bars=(Bar(label=name, value=130.0, mark=100.0), Bar(label="b", value=0.0)),
            ),
        ),
        "tables": (
            Table(
                title="By agent",
                columns=(Column(name="Agent"), Column(name="Tokens", unit="tokens")),
                rows=((name, 1234567), (None, None)),
                more=2,
            ),
        ),
        "data": {"runs": 3},
    }
    return Section(**(given | more))


def report(name: str = "dbt-expert", **more: Any) -> Report:
    """A report about one agent."""
    given: dict[str, Any] = {
        "id": "rpt_1",
        "workspace": "default",
        "kind": "weekly",
        "period": "2026-W47",
        "title": "Weekly report, 22 November 2026",
        "since": NOON - 7 * DAY,
        "until": NOON,
        "created_at": NOON,
        "todo": (
            Todo(title=f"Give {name} more room", why=f"{name} lacks it.", how="curl x", weight=1.0),
        ),
        "sections": (
            Section(key="glance", title="At a glance", figures=(figure(label=name),)),
            section(name),
        ),
    }
    return Report(**(given | more))
