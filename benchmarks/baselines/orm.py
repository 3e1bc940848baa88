"""The usage log as a tutorial would write it: an ORM session, one object, one commit a request.

It keeps the event and nothing else: no cells, no sketches, no registered agents.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON, BigInteger, DateTime, Index, create_engine, event, make_url
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

URL = make_url(os.environ["BASELINE_DATABASE_URL"])
IS_SQLITE = URL.get_backend_name() == "sqlite"
THREADS = 40  # of starlette's pool, by default

engine = create_engine(
    URL if IS_SQLITE else URL.set(drivername="postgresql+psycopg"),
    pool_size=THREADS,
    max_overflow=0,
    connect_args={"timeout": 60} if IS_SQLITE else {},
)
SessionLocal = sessionmaker(engine, expire_on_commit=False)


@event.listens_for(engine, "connect")
def configure(connection: Any, _: object) -> None:
    """Acknowledged means durable: the same promise as the service's."""
    if IS_SQLITE:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000"):
            connection.execute(f"PRAGMA {pragma}")


class Base(DeclarativeBase):
    """Tables of this baseline."""


class UsageEvent(Base):
    __tablename__ = "usage_events"
    __table_args__ = (
        Index("events_by_time", "workspace", "timestamp"),
        Index("events_by_agent", "workspace", "agent", "timestamp"),
    )

    workspace: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    agent: Mapped[str]
    agent_type: Mapped[str | None]
    task: Mapped[str | None]
    complexity: Mapped[str | None]
    project: Mapped[str | None]
    user: Mapped[str | None]
    session_id: Mapped[str | None]
    run_id: Mapped[str | None]
    model: Mapped[str | None]
    stage: Mapped[str | None]
    budget_tokens: Mapped[int | None] = mapped_column(BigInteger)
    used_tokens: Mapped[int] = mapped_column(BigInteger)
    needed_tokens: Mapped[int | None] = mapped_column(BigInteger)
    scopes: Mapped[dict[str, int]] = mapped_column(JSON)
    input_tokens: Mapped[int | None] = mapped_column(BigInteger)
    output_tokens: Mapped[int | None] = mapped_column(BigInteger)
    cached_tokens: Mapped[int | None] = mapped_column(BigInteger)
    cost_usd: Mapped[float | None]
    duration_seconds: Mapped[float | None]
    success: Mapped[bool | None]
    error: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)


class EventIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(default_factory=lambda: f"use_{uuid.uuid4().hex}", max_length=200)
    timestamp: datetime = Field(default_factory=lambda: datetime.now(UTC))
    agent: str = Field(min_length=1, max_length=200)
    agent_type: str | None = None
    task: str | None = None
    complexity: str | None = None
    workspace: str = "default"
    project: str | None = None
    user: str | None = None
    session_id: str | None = None
    run_id: str | None = None
    model: str | None = None
    stage: str | None = None
    budget_tokens: int | None = Field(default=None, ge=0)
    used_tokens: int = Field(ge=0)
    needed_tokens: int | None = Field(default=None, ge=0)
    scopes: dict[str, int] = Field(default_factory=dict)
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    cached_tokens: int | None = Field(default=None, ge=0)
    cost_usd: float | None = Field(default=None, ge=0)
    duration_seconds: float | None = Field(default=None, ge=0)
    success: bool | None = None
    error: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Accepted(BaseModel):
    accepted: int
    duplicates: int
    ids: list[str]


Base.metadata.create_all(engine)
app = FastAPI()


def get_session() -> Iterator[Session]:
    """A session for one request."""
    with SessionLocal() as session:
        yield session


@app.post("/usage", status_code=201, response_model=Accepted)
def post_usage(body: EventIn, session: Annotated[Session, Depends(get_session)]) -> Accepted:
    """Store one event."""
    values = body.model_dump()
    values["details"] = values.pop("metadata")
    session.add(UsageEvent(**values))
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        return Accepted(accepted=0, duplicates=1, ids=[body.id])
    return Accepted(accepted=1, duplicates=0, ids=[body.id])


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process is up."""
    return {"status": "ok"}
