"""Name the numbers by which memories are looked after; policy may state others."""

from collections.abc import Mapping

from app.core.values import value


@value
class Rules:
    """When memories are proposed for what, and when there are too many; defaults are the spec's."""

    promotion_uses: int = 3
    """Uses from which an agent's memory should be everybody's (A14)."""
    promotion_confidence: float = 0.85
    """Or confidence."""
    promotion_agents: int = 2
    """Or agents that use it."""
    archival_days: int = 180
    """Days without use after which a memory is ripe for the archive (A14) …"""
    archival_uses: int = 3
    """… if it was used less often than this …"""
    archival_confidence: float = 0.70
    """… or is less sure than this."""
    summary_days: int = 90
    """Days without use after which a memory is old enough to be summarised."""
    summary_tokens: int = 400
    """Tokens from which it is long enough."""
    near_share: float = 0.8
    """Share of their triples of words that near duplicates have in common."""
    health_warning: int = 150_000
    """Tokens of global memory from which its health is `WARNING` (A15)."""
    health_critical: int = 180_000
    """`CRITICAL`."""
    health_limit: int = 200_000
    """`LIMIT`."""

    @property
    def thresholds(self) -> Mapping[str, int]:
        """Of global tokens, by name, rising."""
        return {
            "warning": self.health_warning,
            "critical": self.health_critical,
            "limit": self.health_limit,
        }


SPEC = Rules()
"""The rules that hold where policy states none."""

RULE_SHARES = ("promotion_confidence", "archival_confidence", "near_share")
"""Rules above 0 and up to 1; the others are whole numbers from 1."""
