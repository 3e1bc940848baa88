"""Say what memory budget an agent gets for a task of some complexity."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from membudget import _core
from membudget._profiles import PROFILES_FILE, Config, multiplier_of, read_config
from membudget._say import RULE, headline, say
from membudget._service import Service

TIERS = ("simple", "medium", "complex", "multi-system")


class AgentBudgetCalculator:
    """Budgets from profiles, in the originals' names and shapes.

    With `profiles_path` that file decides. Without, the service's policy does; where the service
    cannot be had, the file `beside` (`.claude/memory/budget-profiles.json` of the working folder)
    if it is there, else what ships.
    """

    def __init__(
        self,
        profiles_path: Path | str | None = None,
        *,
        client: Any = None,
        workspace: str = "",
        beside: Path = PROFILES_FILE,
    ) -> None:
        self.profiles_path = beside if profiles_path is None else Path(profiles_path)
        self.source = str(self.profiles_path)
        """Where the configuration is from: a path, `service` or `shipped`."""
        self.config = (
            self._of_service(Service(client), workspace)
            if profiles_path is None
            else self._of_file()
        )

    def get_agent_profile(self, agent_name: str) -> tuple[str, dict[str, Any]]:
        """The name of an agent's profile, and the profile. Errors: ValueError."""
        return self._profile_of(self.resolve(agent_name))

    def calculate_budget(self, agent_name: str, complexity: str = "medium") -> dict[str, Any]:
        """The budget of an agent for a complexity, and what it came from. Errors: ValueError.

        `calculated_budget` is ⌊base × multiplier⌋, at most the profile's maximum; `scope_tokens`
        splits it by the scopes' weights and sums to it.
        """
        agent = self.resolve(agent_name)
        name, profile = self._profile_of(agent)
        multiplier = multiplier_of(self.config, profile, complexity)
        base, most = int(profile["base_budget"]), int(profile["max_budget"])
        wanted = _core.scale_down(base, multiplier)
        weights: Mapping[str, Any] = profile.get("scope_weights") or {}
        shares = _core.split_by_weight(
            min(wanted, most), tuple(Decimal(str(weight)) for weight in weights.values())
        )
        return {
            "agent": agent,
            "profile_name": name,
            "profile_description": profile.get("description") or "",
            "complexity": complexity,
            "complexity_description": self._tier(complexity).get("description") or "",
            "base_budget": base,
            "max_budget": most,
            "multiplier": float(multiplier),
            "calculated_budget": min(wanted, most),
            "capped": base * multiplier > most,
            "scope_weights": {scope: float(weight) for scope, weight in weights.items()},
            "scope_tokens": dict(zip(weights, shares, strict=True)),
        }

    def list_profiles(self) -> None:
        """Print every profile."""
        headline("AVAILABLE BUDGET PROFILES")
        for name, profile in self._section("profiles").items():
            say(f"\n{name.upper()}")
            say(f"  Description: {profile.get('description') or ''}")
            say(f"  Base Budget: {profile['base_budget']:,} tokens")
            say(f"  Max Budget:  {profile['max_budget']:,} tokens")
            say("  Scope Weights:")
            for scope, weight in (profile.get("scope_weights") or {}).items():
                say(f"    - {scope:20s}: {float(weight):.1%}")
            if profile.get("examples"):
                say(f"  Examples: {', '.join(profile['examples'])}")
        say("\n" + "=" * RULE)

    def show_assignments(self) -> None:
        """Print which profile each agent is assigned to."""
        headline("AGENT PROFILE ASSIGNMENTS")
        profiles, assigned = self._section("profiles"), self.assignments()
        for name in sorted(set(assigned.values())):
            agents = sorted(agent for agent, profile in assigned.items() if profile == name)
            profile = profiles.get(name, {})
            say(f"\n{name.upper()} ({len(agents)} agents)")
            low, high = profile.get("base_budget", 0), profile.get("max_budget", 0)
            say(f"  Budget: {low:,} - {high:,} tokens")
            for agent in agents:
                type_, _, short = agent.rpartition("/")
                say(f"  - {short:40s} ({type_ or 'no type'})")
        say("\n" + "=" * RULE)
        say(f"\nTotal agents: {len(assigned)}")

    def show_complexity_tiers(self) -> None:
        """Print the complexity tiers with their examples."""
        headline("TASK COMPLEXITY TIERS")
        for tier in TIERS:
            found = self._tier(tier)
            if not found:
                continue
            say(f"\n{tier.upper()} (×{float(found['multiplier']):.1f})")
            say(f"  {found.get('description') or ''}")
            if found.get("examples"):
                say("  Examples:")
                for example in found["examples"]:
                    say(f"    - {example}")
        say("\n" + "=" * RULE)

    def assignments(self) -> dict[str, str]:
        """The profile of every assigned agent, by `type/name`."""
        return {
            agent: entry if isinstance(entry, str) else entry["profile"]
            for agent, entry in self._section("agent_assignments").items()
        }

    def resolve(self, asked: str) -> str:
        """The agent that a name means, as `type/name`; small typing errors are forgiven.

        Errors: ValueError, naming the nearest.
        """
        names = _core.names
        index = names.NameIndex.build(self.assignments(), self._section("aliases"))
        try:
            found = names.match_agent(asked, None, index)
        except _core.errors.InvalidRequest as error:
            raise ValueError(error.detail) from error
        if found.match == "default":
            near = ", ".join(name for name, _ in found.candidates)
            raise ValueError(
                f"Agent '{asked}' not found in budget profile assignments."
                + (f" The nearest: {near}." if near else "")
                + " `membudget agents` lists all."
            )
        return found.name if found.type is None else f"{found.type}/{found.name}"

    def _of_file(self) -> Config:
        if not self.profiles_path.exists():
            raise FileNotFoundError(
                f"Budget profiles not found: {self.profiles_path}. Give the path of a"
                " budget-profiles.json, or none to ask the service."
            )
        return read_config(self.profiles_path)

    def _of_service(self, service: Service, workspace: str) -> Config:
        policy = service.policy(workspace or None)
        if policy is not None:
            self.source = "service"
            return policy
        if self.profiles_path.exists():
            return read_config(self.profiles_path)
        self.source = "shipped"
        return _core.shipped_profiles()

    def _profile_of(self, agent: str) -> tuple[str, dict[str, Any]]:
        entry = self._section("agent_assignments")[agent]
        name = entry if isinstance(entry, str) else entry["profile"]
        profiles = self._section("profiles")
        if name not in profiles:
            raise ValueError(f"Profile '{name}' not found in configuration")
        own = {} if isinstance(entry, str) else {k: v for k, v in entry.items() if k != "profile"}
        return name, {**profiles[name], **own}

    def _section(self, name: str) -> dict[str, Any]:
        found = self.config.get(name)
        return found if isinstance(found, dict) else {}

    def _tier(self, tier: str) -> dict[str, Any]:
        found = self._section("complexity_multipliers").get(tier)
        return found if isinstance(found, dict) else {}
