"""Run the real commands as processes of their own."""

import os
import subprocess

from tests import forked
from tests.data import REPOSITORY

PATIENCE = 60


def run(
    *words: str, database_url: str, given: str | None = None, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    chosen = {f"MEMBUDGET_{name.upper()}": value for name, value in settings.items()}
    return forked.run(
        words,
        environment={**os.environ, "MEMBUDGET_DATABASE_URL": database_url, **chosen},
        folder=REPOSITORY,
        given=given,
        timeout=PATIENCE,
    )
