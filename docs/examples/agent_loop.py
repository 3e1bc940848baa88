"""An agent loop with a memory budget: ask, load, think, finish, remember, look back.

    membudget-server serve &
    python docs/examples/agent_loop.py

`think` stands for the call of a model: put your own in its place. Without the service the loop runs
all the same: budgets are decided here, and runs are booked when the service answers again.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from membudget import Client, MembudgetError

AGENT = "specialists/dbt-expert"
TASKS = (
    "List all dbt models",
    "Analyze dbt model performance",
    "Troubleshoot cross-system freshness",
)
LESSONS = (
    "Incremental models of more than a million rows are partitioned by day.",
    "Freshness is measured where data arrives, not where it is read.",
)


@dataclass(frozen=True)
class Reply:
    """What a model answered, and what it counted."""

    text: str
    input_tokens: int
    output_tokens: int
    lesson: str | None = None
    """Something worth remembering."""


def think(prompt: str) -> Reply:
    """Stand for a model: say how long the prompt was."""
    task = prompt.rpartition("# Task\n")[2]
    return Reply(
        text=f"Done: {task}",
        input_tokens=len(prompt) // 4,
        output_tokens=8,
        lesson=f"What helped with {task!r}: to look at the freshness of its sources first.",
    )


def run_task(client: Client, task: str, model: Callable[[str], Reply]) -> Reply:
    """One run: the budget of its task, the memories that fit, the model, the end."""
    with client.allocation(AGENT, task, select="stored", render="markdown") as run:
        tier = run.allocation.complexity.tier
        print(f"{task}\n  {tier}: {run.tokens:,} tokens, {len(run.selected)} memories loaded")
        if run.degraded_reason:
            print(f"  {run.degraded_reason}")
        reply = model(f"{run.context}\n\n# Task\n{task}")
        run.finish(
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            memories_used=[memory.id for memory in run.selected],
        )
    return reply


def remember(client: Client, lesson: str) -> None:
    """Keep what was learnt for the agent's next runs; without the service it is lost."""
    try:
        client.memories.add(lesson, agent=AGENT, scope="agent_recent")
    except MembudgetError as error:
        print(f"  Not kept: {error}")


def look_back(client: Client) -> None:
    """Say what the runs used of their budgets."""
    try:
        found = client.analytics(days=1, agent=AGENT).overall
    except MembudgetError as error:
        print(f"No figures: {error}")
        return
    average = found.used_pct.avg if found.used_pct else 0.0
    print(f"{found.executions} runs used {average:.2f} % of their budgets on average")


def main() -> int:
    """Work through the tasks."""
    with Client() as client:
        for lesson in LESSONS:
            remember(client, lesson)
        for task in TASKS:
            reply = run_task(client, task, think)
            print(f"  {reply.text}")
            if reply.lesson:
                remember(client, reply.lesson)
        look_back(client)
    return 0


if __name__ == "__main__":
    sys.exit(main())
