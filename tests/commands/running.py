"""Run the real commands as processes of their own."""

import os
import subprocess
import sys

from tests.data import REPOSITORY

PATIENCE = 60


def run(
    *words: str, database_url: str, given: str | None = None, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    chosen = {f"MEMBUDGET_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "app", *words],
        cwd=REPOSITORY,
        env={**os.environ, "MEMBUDGET_DATABASE_URL": database_url, **chosen},
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
