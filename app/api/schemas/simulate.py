"""Say what a request to simulate may hold."""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.schemas.common import AgentName, Label, Tier, Workspace
from app.core.policy_reading import read_number
from app.core.profiles import Enforcement
from app.flows.simulate import Trial

MAX_DAYS = 3_650
MAX_MULTIPLIER = 1_000


class SimulateIn(BaseModel):
    """Which recorded runs to replay, and under which profile, multipliers or policy, if any."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    days: Annotated[int, Field(ge=1, le=MAX_DAYS, examples=[30])] = 30
    """The last days, until now."""
    profile: Annotated[Label | None, Field(examples=["specialist-broad"])] = None
    """Every run of an agent under this profile."""
    multipliers: (
        Annotated[
            dict[Tier, Annotated[float, Field(ge=0, le=MAX_MULTIPLIER)]],
            Field(min_length=1, examples=[{"complex": 1.25}]),
        ]
        | None
    ) = None
    """The policy that is in force now with these multipliers in place of its own."""
    policy: dict[str, Any] | None = None
    """A policy file as JSON, in any format that `POST /config/import` takes, laid over what holds:
    agents are resolved in it."""
    agent: AgentName | None = None
    """Only runs of this agent: `type/name`, or a bare name for all types."""
    workspace: Workspace
    enforcement: Enforcement = "soft"
    """`hard`: nothing beyond a budget is loaded, and what was cut is unmet."""

    @model_validator(mode="after")
    def _one_of_three(self) -> "SimulateIn":
        tried = [
            name for name in ("profile", "multipliers", "policy") if getattr(self, name) is not None
        ]
        if len(tried) > 1:
            raise ValueError(f"give only one of {', '.join(tried)}")
        return self

    def to_trial(self, now: datetime) -> Trial:
        """What the flow takes."""
        multipliers = self.multipliers
        return Trial(
            workspace=self.workspace,
            days=self.days,
            agent=self.agent,
            profile=self.profile,
            multipliers=None
            if multipliers is None
            else {tier: read_number(share) for tier, share in multipliers.items()},
            policy=None if self.policy is None else json.dumps(self.policy).encode(),
            enforcement=self.enforcement,
            now=now,
        )
