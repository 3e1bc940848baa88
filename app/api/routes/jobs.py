"""List jobs, and run one now."""

from fastapi import Response

from app.api.dependencies import HouseDep
from app.api.routing import answer, router_of
from app.api.schemas.jobs import AskedRunIn, AskedRunOut, JobsOut, job_out, run_out

router = router_of("Jobs")


@router.get("/jobs", response_model=JobsOut)
async def get_jobs(house: HouseDep) -> Response:
    """The jobs, when they run, how the last run of each ended and when the next one is."""
    lines = await house.jobs.listed(house.now_micros())
    return answer({"items": [job_out(one, str(house.zone)) for one in lines]})


@router.post("/jobs/{name}/run", response_model=AskedRunOut)
async def post_run(name: str, house: HouseDep, body: AskedRunIn | None = None) -> Response:
    """Run a job now, and answer when it has ended: `status` says how.

    It takes no scheduled run's place. While the job is being run, it is 409 `job_running`.
    """
    return answer(run_out(await house.jobs.run_now(name, house.now_micros)))
