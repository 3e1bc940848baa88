"""Measure verdicts against labels, as the rubric says."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.core.complexity import TASK_TIERS


def scores(
    labels: Sequence[int], decided: Sequence[int], confidences: Sequence[float]
) -> dict[str, Any]:
    """Accuracy, macro-F1, mean tier error, under- and over-allocation, calibration in ten bins."""
    y, d, c = np.array(labels), np.array(decided), np.array(confidences)
    tiers, f1 = {}, []
    for rung, name in enumerate(TASK_TIERS):
        hit = int(((d == rung) & (y == rung)).sum())
        said, meant = int((d == rung).sum()), int((y == rung).sum())
        f1.append(2 * hit / max(1, said + meant))
        tiers[name] = {
            "texts": meant,
            "precision": round(hit / max(1, said), 3),
            "recall": round(hit / max(1, meant), 3),
            "f1": round(f1[-1], 3),
        }
    bins, error = [], 0.0
    for low in range(10):
        inside = (c >= low / 10) & ((c < (low + 1) / 10) | (low == 9))
        if inside.any():
            right, said_to_be = float((d == y)[inside].mean()), float(c[inside].mean())
            error += float(inside.mean()) * abs(right - said_to_be)
            bins.append(
                {
                    "from": low / 10,
                    "texts": int(inside.sum()),
                    "confidence": round(said_to_be, 3),
                    "right": round(right, 3),
                }
            )
    off = d - y
    return {
        "texts": len(y),
        "accuracy": round(float((off == 0).mean()), 3),
        "macro_f1": round(float(np.mean(f1)), 3),
        "mean_tier_error": round(float(np.abs(off).mean()), 3),
        "under": round(float((off < 0).mean()), 3),
        "over": round(float((off > 0).mean()), 3),
        "adjacent": round(float((np.abs(off) <= 1).mean()), 3),
        "ece": round(error, 3),
        "tiers": tiers,
        "calibration": bins,
    }
