"""Resolve which policy decides a request, and say why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

from app.core.alerts import Threshold
from app.core.complexity import TASK_TIERS
from app.core.detection import Detection, read_detection
from app.core.errors import InvalidPattern, InvalidPolicy, InvalidRequest, UnknownAgent
from app.core.lifecycle_rules import Rules
from app.core.names import NameIndex, match_agent
from app.core.patterns import SignalSpec, SignalTable
from app.core.policy_documents import (
    DEFAULT_WORKSPACE,
    Document,
    Layer,
    merge_budgets,
    merge_layers,
    overlay_fields,
)
from app.core.policy_reading import (
    override_profile,
    override_scopes,
    override_thresholds,
    read_assignment,
    read_budget,
    read_profile,
    read_rules,
    read_signals,
    read_thresholds,
    read_tiers,
    read_tuning,
)
from app.core.profiles import (
    AgentMatch,
    Assignment,
    Enforcement,
    PolicyKind,
    Profile,
    ResolvedPolicy,
    Tier,
    Tuning,
    WorkspaceBudget,
)
from app.core.signals import DEFAULT_SIGNALS, DEFAULT_TABLE

FALLBACK_PROFILE = "specialist-narrow"  # api.md: where nothing else is configured
LONGEST_QUOTE = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyBook:
    """All policy that holds in one workspace: its layers merged, read and indexed."""

    workspace: str
    version: int
    document: Document
    """What holds, as data: the same keys as a stored document, without tombstones."""
    profiles: Mapping[str, Profile]
    assignments: Mapping[str, Assignment]
    default_profile: str | None
    """None where every profile has been deleted; the workspace's budget then decides."""
    tiers: tuple[Tier, ...]
    multipliers: Mapping[str, Decimal]
    """Of the task tiers, where a profile does not state its own."""
    thresholds: tuple[Threshold, ...]
    enforcement: Enforcement
    tuning: Tuning
    lifecycle: Rules
    """When memories are proposed for what, and when there are too many."""
    signals: SignalTable
    detection: Detection
    """How tasks are judged."""
    names: NameIndex
    budget: WorkspaceBudget | None
    """The workspace's own; None where it states none."""
    default_budget: WorkspaceBudget
    """That of the `default` workspace."""
    projects: Mapping[str, WorkspaceBudget]
    users: Mapping[str, Document]
    assigned: Mapping[str, ResolvedPolicy]
    """The policy of each assigned agent, ready to be handed out."""

    @classmethod
    def compile(cls, layers: Sequence[Layer], *, workspace: str, version: int) -> "PolicyBook":
        """Read the layers of a workspace, lowest first.

        Names that point nowhere (a profile deleted in a lower layer) do not stop a book: they
        resolve to the default profile, and the trace says so.
        """
        document = merge_layers(layers, workspace)
        default = merge_budgets(layers, DEFAULT_WORKSPACE)
        if default is None:
            raise InvalidPolicy("the default workspace has no budget; give it one")

        profiles = {
            name: read_profile(name, entry) for name, entry in document.get("profiles", {}).items()
        }
        assignments = {
            agent: read_assignment(agent, entry)
            for agent, entry in document.get("agent_assignments", {}).items()
        }
        tiers = read_tiers(document.get("complexity_multipliers", {}))
        own = document.get("budget")
        budget = None if own is None else read_budget(own)
        book = cls(
            workspace=workspace,
            version=version,
            document=document,
            profiles=profiles,
            assignments=assignments,
            default_profile=_default_profile(document, profiles),
            tiers=tiers,
            multipliers={tier.name: tier.multiplier for tier in tiers},
            thresholds=read_thresholds(document.get("alert_thresholds", {})) or (),
            enforcement=(budget and budget.enforcement) or document.get("enforcement", "soft"),
            tuning=read_tuning(document.get("tuning_parameters", {})),
            lifecycle=read_rules(document.get("memory_lifecycle", {})),
            signals=compile_signals(read_signals(document.get("signals", []))),
            detection=read_detection(document.get("detection", {})),
            names=NameIndex.build(assignments, document.get("aliases")),
            budget=budget,
            default_budget=read_budget(default),
            projects={
                project: read_budget(overlay_fields(own or default, entry))
                for project, entry in document.get("projects", {}).items()
            },
            users=document.get("users", {}),
            assigned={},
        )
        return replace(
            book,
            assigned={
                agent: book._of_other_agent(book.match(agent, fuzzy=False)) for agent in assignments
            },
        )

    def resolve(
        self,
        *,
        agent: str | None = None,
        agent_type: str | None = None,
        workspace: str | None = None,
        project: str | None = None,
        user: str | None = None,
        max_tokens: int | None = None,
        strict: bool = False,
        fuzzy: bool = True,
    ) -> tuple[ResolvedPolicy, AgentMatch | None]:
        """The policy that decides, and whom the agent's name was taken for.

        The order: `max_tokens`, a workspace budget that overrides agents, the user's profile,
        the agent's assignment, the default profile; without an agent the project, the workspace,
        the `default` workspace. Without `fuzzy` a typing error is another name.
        """
        if agent is None and workspace is None and max_tokens is None:
            raise InvalidRequest("name an agent or a workspace, or give max_tokens")
        match = None if agent is None else match_agent(agent, agent_type, self.names, fuzzy=fuzzy)
        if match is not None and strict and match.match == "default":
            raise _unknown(match)

        if max_tokens is not None:
            return _remembered_manual(self, max_tokens, match), match
        if match is None:
            return _remembered_budget(self, project), None
        overriding = self._overriding(project)
        if overriding is not None:
            return overriding, match
        if user is not None and user in self.users:
            return self._of_user(user, match), match
        return self._of_agent(match), match

    def under(self, profile: str) -> ResolvedPolicy:
        """The policy of an agent that this profile is assigned to. Errors: KeyError."""
        return self._of_profile(self.profiles[profile], trace=(f"profile {profile} is asked for",))

    def match(self, agent: str, agent_type: str | None = None, *, fuzzy: bool) -> AgentMatch:
        """Whom a name is taken for; usage that is reported resolves names without `fuzzy`."""
        return match_agent(agent, agent_type, self.names, fuzzy=fuzzy)

    def identify(self, agent: str, agent_type: str | None = None) -> tuple[str, str | None]:
        """The full name of an agent that reports usage, and its profile if it has one."""
        full = agent if agent_type is None or "/" in agent else f"{agent_type}/{agent}"
        assignment = self.assignments.get(full)
        if assignment is None:
            match = self.match(agent, agent_type, fuzzy=False)
            full = _key(match)
            assignment = self.assignments.get(full)
        return full, None if assignment is None else assignment.profile

    def _of_agent(self, match: AgentMatch) -> ResolvedPolicy:
        assigned = self.assigned.get(_key(match))
        if match.match == "exact" and assigned is not None:
            return assigned
        return _remembered_agent(self, match)

    def _of_other_agent(self, match: AgentMatch) -> ResolvedPolicy:
        profile, why = self._profile_of(match)
        if profile is None:
            policy = self._without_agent(None)
            return replace(policy, trace=(*why, *policy.trace))
        return self._of_profile(profile, trace=why)

    def _of_user(self, user: str, match: AgentMatch) -> ResolvedPolicy:
        stated = self.users[user]
        wanted = stated.get("profile")
        why: tuple[str, ...] = (f'user "{_quote(user)}" has a policy of their own',)
        if wanted is not None and wanted in self.profiles:
            profile: Profile | None = self.profiles[wanted]
            why = (*why, f"it names profile {wanted}")
        else:
            profile, reasons = self._profile_of(match)
            why = (*why, "it changes the profile of the agent", *reasons)
        if profile is None:
            return self._of_agent(match)
        return self._of_profile(
            override_profile(profile, stated), kind="user", name=user, trace=why
        )

    def _profile_of(self, match: AgentMatch) -> tuple[Profile | None, tuple[str, ...]]:
        """The profile of the agent that was matched, its own weights applied, and why."""
        agent = _key(match)
        assignment = self.assignments.get(agent)
        if assignment is None:
            return self._default_for(f'no agent is called "{_quote(match.requested)}"')
        why: tuple[str, ...] = ()
        if match.match != "exact":
            why = (f'"{_quote(match.requested)}" is taken for {agent} ({match.match})',)
        profile = self.profiles.get(assignment.profile)
        if profile is None:
            return self._default_for(*why, f"the profile of {agent} does not exist any more")
        why = (*why, f"{agent} is assigned to profile {profile.name}")
        if assignment.scope_weights:
            scopes = override_scopes(profile.scopes, assignment.scope_weights)
            return replace(profile, scopes=scopes), (*why, "it has scope weights of its own")
        return profile, why

    def _default_for(self, *why: str) -> tuple[Profile | None, tuple[str, ...]]:
        if self.default_profile is None:
            return None, (*why, "no profile is left")
        return self.profiles[self.default_profile], (
            *why,
            f"the default profile is {self.default_profile}",
        )

    def _of_profile(
        self,
        profile: Profile,
        *,
        trace: tuple[str, ...],
        kind: PolicyKind = "profile",
        name: str | None = None,
    ) -> ResolvedPolicy:
        return ResolvedPolicy(
            kind=kind,
            name=name or profile.name,
            version=self.version,
            trace=trace,
            text_kind="task",
            base=profile.base,
            ceiling=profile.ceiling,
            scopes=profile.scopes,
            multipliers={**self.multipliers, **(profile.multipliers or {})},
            thresholds=override_thresholds(self.thresholds, profile.thresholds),
            enforcement=profile.enforcement or self.enforcement,
            auto_bump=profile.auto_bump,
            rigid=False,
            weights=self.default_budget.weights,
            half_life_hours=self.default_budget.half_life_hours,
            rounding="largest_remainder",
        )

    def _manual(self, max_tokens: int, match: AgentMatch | None) -> ResolvedPolicy:
        below = self._without_agent(None) if match is None else self._of_agent(match)
        why: tuple[str, ...] = ("max_tokens is given: no profile decides",)
        if match is not None:
            why = (*why, f"scopes are those of {below.name}", *below.trace)
        return replace(
            below,
            kind="manual",
            name="manual",
            trace=why,
            text_kind="task",
            base=max_tokens,
            ceiling=None,
            scopes=() if match is None else below.scopes,
            multipliers=dict.fromkeys(TASK_TIERS, Decimal(1)),
            auto_bump=False,
            rigid=False,
            scoring="measured",
            rounding="largest_remainder",
        )

    def _overriding(self, project: str | None) -> ResolvedPolicy | None:
        """The budget of the project or the workspace, if it decides for agents too."""
        own = None if project is None else self.projects.get(project)
        decides = own or self.budget
        if decides is None or not decides.overrides_agents:
            return None
        policy = self._without_agent(project)
        return replace(
            policy, trace=(f"the budget of {policy.name} overrides agents", *policy.trace)
        )

    def _without_agent(self, project: str | None) -> ResolvedPolicy:
        own = None if project is None else self.projects.get(project)
        if own is not None:
            name = f"{self.workspace}/{project}"
            why: tuple[str, ...] = (f'project "{_quote(name)}" has a budget of its own',)
            return self._of_budget(own, kind="project", name=name, trace=why)
        why = () if project is None else (f'project "{_quote(project)}" has no budget of its own',)
        if self.budget is not None:
            why = (*why, f'workspace "{_quote(self.workspace)}" decides')
            return self._of_budget(self.budget, kind="workspace", name=self.workspace, trace=why)
        why = (
            *why,
            f'workspace "{_quote(self.workspace)}" has no budget of its own',
            f'workspace "{DEFAULT_WORKSPACE}" decides',
        )
        policy = self._of_budget(
            self.default_budget, kind="workspace", name=DEFAULT_WORKSPACE, trace=why
        )
        # api.md: tiers are rigid, and the formula scores, where they were declared
        return replace(policy, rigid=False, scoring="measured")

    def _of_budget(
        self,
        budget: WorkspaceBudget,
        *,
        kind: PolicyKind,
        name: str,
        trace: tuple[str, ...],
    ) -> ResolvedPolicy:
        return ResolvedPolicy(
            kind=kind,
            name=name,
            version=self.version,
            trace=trace,
            text_kind="query",
            base=budget.max_total_tokens,
            ceiling=None,
            scopes=budget.scopes,
            multipliers=budget.multipliers,
            thresholds=override_thresholds(self.thresholds, budget.thresholds),
            enforcement=budget.enforcement or self.enforcement,
            auto_bump=False,
            rigid=budget.rigid_tiers,
            scoring=budget.scoring,
            weights=budget.weights,
            half_life_hours=budget.half_life_hours,
            rounding="floor",
        )


@lru_cache(maxsize=1024)
def _remembered_agent(book: PolicyBook, match: AgentMatch) -> ResolvedPolicy:
    """The policy of an agent that was not named exactly: the same one for the same name."""
    return book._of_other_agent(match)


@lru_cache(maxsize=1024)
def _remembered_manual(
    book: PolicyBook, max_tokens: int, match: AgentMatch | None
) -> ResolvedPolicy:
    """The policy of a request that says its budget: the same one for the same request."""
    return book._manual(max_tokens, match)


@lru_cache(maxsize=1024)
def _remembered_budget(book: PolicyBook, project: str | None) -> ResolvedPolicy:
    """The policy of a workspace or a project: the same one for the same name."""
    return book._without_agent(project)


def compile_signals(added: tuple[SignalSpec, ...]) -> SignalTable:
    """The shipped signals and those added; one of the same tier and name replaces the shipped.

    Layers that are good each for itself may state too much together: the shipped table then
    stands alone, as it does where nothing is added.
    """
    try:
        return _compile_signals(added) if added else DEFAULT_TABLE
    except InvalidPattern:
        return DEFAULT_TABLE


@lru_cache(maxsize=16)
def _compile_signals(added: tuple[SignalSpec, ...]) -> SignalTable:
    replaced = {(spec.tier, spec.name) for spec in added}
    kept = (spec for spec in DEFAULT_SIGNALS if (spec.tier, spec.name) not in replaced)
    return SignalTable.compile((*kept, *added))


def _default_profile(document: Document, profiles: Mapping[str, Profile]) -> str | None:
    """What is configured, else what ships, else the smallest there is."""
    for name in (document.get("default_profile"), FALLBACK_PROFILE):
        if name in profiles:
            return str(name)
    return min(profiles, key=lambda name: (profiles[name].base, name), default=None)


def _unknown(match: AgentMatch) -> UnknownAgent:
    nearest = ", ".join(name for name, _ in match.candidates[:3])
    return UnknownAgent(
        "no agent is called so"
        + (f"; the nearest names are {nearest}" if nearest else "; no agents are assigned"),
        candidates=[{"name": name, "score": score} for name, score in match.candidates],
    )


def _key(match: AgentMatch) -> str:
    return match.name if match.type is None else f"{match.type}/{match.name}"


def _quote(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 1] + "…"
