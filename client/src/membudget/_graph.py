"""Check a graph of tasks before anything of it runs, and say how far each task is from the end."""

from collections.abc import Iterable, Mapping, Sequence


class TaskGraphError(ValueError):
    """Tasks that cannot all be run: an id twice, a dependency that nobody is, or a circle."""


def dependents_of(dependencies: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The tasks that wait for each task. `dependencies`: what each task waits for, each once.

    Errors: TaskGraphError, naming the tasks.
    """
    dependents: dict[str, list[str]] = {task_id: [] for task_id in dependencies}
    for task_id, needed in dependencies.items():
        for other in needed:
            if other == task_id:
                raise TaskGraphError(f"task {task_id!r} depends on itself")
            if other not in dependents:
                raise TaskGraphError(
                    f"task {task_id!r} depends on {other!r}, and no task has that id"
                )
            dependents[other].append(task_id)
    return dependents


def distances(
    dependencies: Mapping[str, Sequence[str]], dependents: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """How many tasks still come after each one on the longest chain.

    Errors: TaskGraphError, with the tasks of a circle in their order.
    """
    waiting = {task_id: len(following) for task_id, following in dependents.items()}
    ready = [task_id for task_id, count in waiting.items() if count == 0]
    found: dict[str, int] = dict.fromkeys(ready, 0)
    while ready:
        task_id = ready.pop()
        after = found[task_id] + 1
        for before in dependencies[task_id]:
            if after > found.get(before, 0):
                found[before] = after
            waiting[before] -= 1
            if not waiting[before]:
                ready.append(before)
    stuck = [task_id for task_id, count in waiting.items() if count]
    if stuck:
        circle = _circle(stuck, dependencies)
        raise TaskGraphError("these tasks wait for each other: " + " → ".join(circle))
    return found


def _circle(stuck: Iterable[str], dependencies: Mapping[str, Sequence[str]]) -> list[str]:
    """One circle among tasks that each lead into one: the first task is named again at the end."""
    remaining = set(stuck)
    # Tasks that only lead to a circle have no dependency left once circles are all that is.
    shrinking = True
    while shrinking:
        loose = {one for one in remaining if not remaining.intersection(dependencies[one])}
        remaining -= loose
        shrinking = bool(loose)
    at = min(remaining)
    path: list[str] = []
    while at not in path:
        path.append(at)
        at = next(other for other in dependencies[at] if other in remaining)
    return [*path[path.index(at) :], at]
