"""Show how many bytes of files have been read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(name: str, total: int | None, screen: Console) -> Iterator[Callable[[int], None]]:
    """A bar while the block lasts; what it yields takes the bytes read so far."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as shown:
        task = shown.add_task(name, total=total)
        yield lambda taken: shown.update(task, completed=taken)
