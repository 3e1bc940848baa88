"""A bare FastAPI app that reads an allocation request and answers a fixed full response.

The models are the service's own, used as FastAPI uses them by default: what remains is the cost of
the framework, without detection, policy or database.
"""

from fastapi import FastAPI
from pydantic import TypeAdapter

from app.api.schemas.allocations import AllocateIn
from app.core.allocation import Allocation

ANSWER = TypeAdapter(Allocation).validate_python(
    {
        "id": "alc_01k0zj7m4x8r5t2v9w3y6a1b_7hq2x",
        "created_at": "2026-03-14T15:09:26Z",
        "workspace": "default",
        "project": None,
        "user": None,
        "session_id": None,
        "run_id": None,
        "model": None,
        "degraded": False,
        "agent": {
            "name": "dbt-expert",
            "type": "specialists",
            "requested": "dbt-expert",
            "match": "alias",
            "match_score": 1.0,
            "candidates": [],
        },
        "policy": {
            "kind": "profile",
            "name": "specialist-narrow",
            "version": 1,
            "trace": [
                "agent dbt-expert is specialists/dbt-expert",
                "assigned to specialist-narrow",
            ],
        },
        "complexity": {
            "tier": "complex",
            "multiplier": 1.5,
            "confidence": 0.7,
            "source": "detected",
            "signals": [
                {"tier": "complex", "name": "analysis", "matched": "analyze", "weight": 0.1},
                {"tier": "complex", "name": "performance", "matched": "slow", "weight": 0.1},
            ],
            "advice": None,
        },
        "budget": {
            "tokens": 30_000,
            "base": 20_000,
            "max": 50_000,
            "multiplier": 1.5,
            "capped": False,
            "mode": "profile",
            "bound_by": "multiplier",
            "predicted": None,
        },
        "scopes": [
            {"name": "global", "weight": 0.2, "tokens": 6_000, "used": 0, "remaining": 6_000},
            {"name": "agent_recent", "weight": 0.3, "tokens": 9_000, "used": 0, "remaining": 9_000},
            {
                "name": "agent_patterns",
                "weight": 0.5,
                "tokens": 15_000,
                "used": 0,
                "remaining": 15_000,
            },
        ],
        "selection": None,
        "enforcement": "soft",
        "alerts": [],
        "cost": None,
        "expires_at": "2026-03-14T16:09:26Z",
    }
)

app = FastAPI()


@app.post("/allocate", status_code=201, response_model=Allocation)
async def allocate(body: AllocateIn) -> Allocation:
    """Answer what was prepared."""
    return ANSWER


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process is up."""
    return {"status": "ok"}
