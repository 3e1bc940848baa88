"""Draw tables and bars on a terminal."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 30
WARNING, CRITICAL = 0.9, 1.0


def heading(text: str) -> None:
    """A title."""
    Console().print(Text(text, style="bold"))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """Rows under their columns' names; what the first column names stays whole, to be copied."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for at, (name, is_right) in enumerate(zip(columns, right, strict=True)):
        justify: Literal["left", "right"] = "right" if is_right else "left"
        drawn.add_column(name, justify=justify, overflow="fold", no_wrap=at == 0)
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)


def bars(rows: Sequence[tuple[str, float, str]]) -> None:
    """Shares (0–1 and beyond) as bars: yellow from 90 %, red from 100 %."""
    drawn = Table.grid(padding=(0, 2))
    for name, share, said in rows:
        colour = "red" if share >= CRITICAL else "yellow" if share >= WARNING else "green"
        bar = Bar(size=1.0, begin=0, end=min(1.0, share), width=BAR_WIDTH, color=colour)
        drawn.add_row(Text(name), bar, Text(f"{share:.1%}"), Text(said))
    Console().print(drawn)


def markdown(text: str) -> None:
    """A text with headings, lists and tables."""
    Console().print(Markdown(text))


def working(text: str) -> AbstractContextManager[Any]:
    """A sign on standard error that something is being done, and for how long already."""
    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    shown.add_task(text, total=None)
    return shown
