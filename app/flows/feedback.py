"""Keep what a task turned out to be, beside what it was taken for."""

from dataclasses import dataclass
from hashlib import sha256

from app.core.complexity import Context, rung, tier_at
from app.core.errors import InvalidRequest
from app.core.hygiene import MASK, request_of
from app.core.judging import judge_text
from app.core.refitting import FEWEST
from app.presets.detector import weights
from app.store import feedback as kept_feedback
from app.store.database import Store
from app.store.feedback import Feedback
from app.store.shelf import PolicyShelf


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFeedback:
    """What was kept."""

    tier: str
    """What the task turned out to be."""
    detected: str
    """What the learned detector takes it for now."""
    count: int
    """How many texts of the workspace have feedback."""
    needed: int
    """How many there must be before bias and temperature are fitted."""


async def keep_feedback(
    store: Store, shelf: PolicyShelf, *, workspace: str, text: str, tier: str, now: int
) -> KeptFeedback:
    """Store the request in a text with its tier; a later word on the same text replaces it.

    Errors: InvalidRequest for a text without a word.
    """
    request = request_of(text)
    if not any(letter.isalpha() for letter in request.replace(MASK, "")):
        raise InvalidRequest("The text has no words to learn from; send the task as it was given.")
    book = shelf.book(workspace)
    tier = tier_at(rung(tier), "task")
    detected = judge_text(
        text,
        "task",
        Context(),
        signals=book.signals,
        detection=book.detection,
        weights=weights(),
        detector="learned",
    ).tier

    given = Feedback(
        digest=sha256(request.encode("utf-8", "replace")).hexdigest(),
        text=request,
        tier=tier,
        detected=detected,
        created_at=now,
    )
    count = await store.write(workspace, kept_feedback.keep_feedback, given)
    return KeptFeedback(tier=tier, detected=detected, count=count, needed=FEWEST)
