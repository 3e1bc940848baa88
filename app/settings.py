"""Read how the process runs from the environment, once."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.core.keeping import LEAST_USAGE_DAYS

REDIS_URL = re.compile(r"rediss?://([^@/\s]*@)?[\w.\-]+(:\d{1,5})?(/\d{1,4})?")


class Settings(BaseSettings):
    """Everything an operator sets; every name is prefixed with `MEMBUDGET_` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="MEMBUDGET_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    database_url: str = "sqlite:///membudget.db"
    """Where the books are: `sqlite:///file.db` or `postgresql://user@host/name`."""

    database_admin_url: str | None = None
    """Where migrations run; the database itself unless a pooler stands before it."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs keys or `MEMBUDGET_AUTH=off`."""

    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    auth: Literal["auto", "on", "off"] = "auto"
    """`auto` asks for a key once there is one, `on` refuses to start without one, `off` asks for
    none: only behind a gateway that checks callers."""

    admin_key: SecretStr | None = Field(default=None, min_length=16)
    """A first key, of scope admin: requests carry it as `Authorization: Bearer …`. Others are made
    by `POST /keys`."""

    api_key: SecretStr | None = None
    """The key that commands send to a running service; `MEMBUDGET_ADMIN_KEY` if left out."""

    rate_limit: int | None = Field(default=None, ge=1, le=10_000_000)
    """Requests a minute that each key may send to this process, in one go or spread; beyond it
    the answer is 429. No limit if left out."""

    timezone: str = "UTC"
    """IANA zone of local days in analytics and of the times of jobs."""

    scheduler: Literal["on", "off"] = "on"
    """`on` runs jobs when they are due, each once however many replicas there are; `off` leaves
    them to other replicas, and to whoever asks for one."""

    policy_files: Annotated[tuple[Path, ...], NoDecode] = ()
    """Files to apply at start and whenever they change, separated by commas."""

    body_limit_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Largest JSON body of a request."""

    upload_limit_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Largest file of an import."""

    reader_process: Literal["auto", "on", "off"] = "auto"
    """Whether long lists of usage events are read in a process of its own, which is started when
    they come and ended after five minutes without: `auto` where there are two processors."""

    write_queue_limit: int = Field(default=50_000, ge=1)
    """Writes that may wait for their commit; beyond it the answer is 503 with Retry-After."""

    allocation_ttl_seconds: int = Field(default=3600, ge=1)
    """How long an allocation stays open when the request does not say."""

    policy_poll_seconds: float = Field(default=1.0, gt=0, le=2)
    """How often a replica looks for policy changed elsewhere, and at the policy files."""

    redis_url: SecretStr | None = None
    """A Redis through which replicas share texts of memories: `redis://host:6379/0`. The database
    serves without it; it may go away at any moment."""

    backup_dir: Path | None = None
    """Folder of the backups; `membudget-backups` beside the SQLite file, with PostgreSQL in the
    working folder, if left out."""

    backup_interval_seconds: int | None = Field(default=None, ge=0)
    """How often to back up by itself, and once more at a stop if anything changed; 0: never. Once a
    day if left out while `MEMBUDGET_BACKUP_DIR` is set, else never."""

    backup_keep: int = Field(default=14, ge=1)
    """How many backups to keep; older ones are deleted when one is made."""

    usage_retention_days: int | None = Field(default=None, ge=LEAST_USAGE_DAYS)
    """How many days usage events are kept; for ever if left out. Whole UTC days of older ones are
    deleted by the job `retention`; what they came to stays in analytics, and nothing more can be
    booked there."""

    shutdown_seconds: int = Field(default=15, ge=1)
    """How long a stop waits for requests that are being answered."""

    access_log: bool = False
    """One log line per request; costs about half of the request rate."""

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        if not REDIS_URL.fullmatch(value.get_secret_value()):
            raise ValueError("must be an address such as redis://host:6379/0")
        return value

    @property
    def asks_for_key(self) -> bool | None:
        """Whether requests need a key: always, never, or (None) once there is one."""
        return {"on": True, "off": False, "auto": None}[self.auth]

    @property
    def reads_beside(self) -> bool:
        """Whether long lists are read in a process of its own."""
        if self.reader_process == "auto":
            return _processors() > 1
        return self.reader_process == "on"

    @property
    def key(self) -> str | None:
        """The key that commands show to a running service."""
        key = self.api_key or self.admin_key
        return None if key is None else key.get_secret_value()

    @property
    def backup_interval(self) -> timedelta:
        """How often to back up; zero: never."""
        if self.backup_interval_seconds is not None:
            return timedelta(seconds=self.backup_interval_seconds)
        return timedelta() if self.backup_dir is None else timedelta(days=1)

    @field_validator("policy_files", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part.strip()) for part in value.split(",") if part.strip())
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Berlin") from error
        return value


def _processors() -> int:
    """How many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # Linux knows
    return (os.cpu_count() or 1) if allowed is None else len(allowed(0))
