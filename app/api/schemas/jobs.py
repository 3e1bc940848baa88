"""Say what is answered about jobs and their runs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.job_runs import JobLine, JobRun, Status, is_on_demand
from app.core.windows import moment


class AskedRunIn(BaseModel):
    """Nothing: a run takes no options."""

    model_config = ConfigDict(extra="forbid")


class JobRunOut(BaseModel):
    """One run of a job."""

    period: str = Field(
        description="The day, ISO week or month it was due in; the moment it was asked for.",
        examples=["2026-11-21", "2026-W47", "2026-11", "2026-11-21T08:15:00.000000Z"],
    )
    status: Status = Field(
        description="`running`, `done`, `failed`, or `waiting`: it is tried again at `retry_at`."
    )
    on_demand: bool = Field(description="Whether somebody asked for it.")
    due_at: datetime
    started_at: datetime
    finished_at: datetime | None
    attempt: int = Field(description="How often it was begun.")
    retry_at: datetime | None
    outcome: dict[str, Any] | None = Field(
        description="What came of it; `included_in` names the run that did its work as well."
    )
    error: str | None = Field(description="Why the last attempt failed; the log has more.")


class JobOut(BaseModel):
    """A job and how it stands."""

    name: str = Field(examples=["weekly"])
    schedule: str = Field(
        description="When it runs, in civil time of `timezone`.",
        examples=["on Sundays at 06:00"],
    )
    timezone: str = Field(examples=["Europe/Berlin"])
    enabled: bool = Field(description="Whether it runs by itself.")
    last_run: JobRunOut | None = Field(
        description="The run that began last; one that another job's run did counts as when due."
    )
    next_run: datetime | None


class JobsOut(BaseModel):
    """All jobs."""

    items: list[JobOut]


class AskedRunOut(JobRunOut):
    """A run that was asked for, as it ended."""

    job: str


def run_out(run: JobRun) -> dict[str, Any]:
    """A run as it is answered."""
    return {
        "job": run.job,
        "period": run.period,
        "status": run.status,
        "on_demand": is_on_demand(run.period),
        "due_at": moment(run.due_at),
        "started_at": moment(run.started_at),
        "finished_at": None if run.finished_at is None else moment(run.finished_at),
        "attempt": run.attempt,
        "retry_at": None if run.retry_at is None else moment(run.retry_at),
        "outcome": run.outcome,
        "error": run.error,
    }


def job_out(line: JobLine, timezone: str) -> dict[str, Any]:
    """A job as it is answered."""
    return {
        "name": line.name,
        "schedule": line.schedule,
        "timezone": timezone,
        "enabled": line.is_on,
        "last_run": None if line.last_run is None else run_out(line.last_run),
        "next_run": None if line.next_run is None else moment(line.next_run),
    }
