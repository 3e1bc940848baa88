"""Back everything up, list backups, restore one."""

from fastapi import Response

from app.api.dependencies import HouseDep
from app.api.paging import Page, page
from app.api.routing import answer, router_of
from app.api.schemas.backups import RestoreIn
from app.flows.backup import Backup, Listed, Restored

router = router_of("Backups")

EVERYBODY = "*"
"""A backup is of all workspaces."""


@router.post("/backups", status_code=201, response_model=Backup)
async def post_backup(house: HouseDep) -> Response:
    """Back up all workspaces as they are at this moment, into the folder of the service."""
    made = await house.backups.create(house.new_id("bak", EVERYBODY), house.now())
    return answer(made, status=201)


@router.get("/backups", response_model=Page[Listed])
async def get_backups(house: HouseDep) -> Response:
    """The backups in the folder, newest first, and whether their bytes are intact."""
    return answer(page(await house.backups.listed(), None))


@router.post("/backups/{id}/restore", response_model=Restored)
async def post_restore(id: str, body: RestoreIn, house: HouseDep) -> Response:
    """Replace everything, in all workspaces, by what a backup holds.

    What is there is backed up first. Until it is done, reads are answered from what was there and
    writes with 503. A backup that is damaged, or of other tables, is refused whole.
    """
    restored = await house.backups.restore(
        id,
        safety_id=house.new_id("bak", EVERYBODY),
        now=house.now(),
        dry_run=body.dry_run,
        forget=house.forget,
    )
    return answer(restored)
