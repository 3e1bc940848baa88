"""Judge a text by the detector that a request, or else its workspace, wants."""

from app.core.complexity import Context, Kind, Verdict, detect
from app.core.detection import Detection, Detector
from app.core.learned import Weights, judge
from app.core.patterns import SignalTable


def judge_text(
    text: str,
    kind: Kind,
    context: Context,
    *,
    signals: SignalTable,
    detection: Detection,
    weights: Weights,
    detector: Detector | None = None,
) -> Verdict:
    """Judge a text; a query always by the points of B1."""
    if kind == "query" or (detector or detection.detector) == "rules":
        return detect(text, kind, context, signals)
    return judge(text, context, signals.find_added(text), weights, detection)
