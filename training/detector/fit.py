"""Fit regularised logistic regressions that are pulled towards priors, by Newton's method."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_STEPS = 25


def fit(x: Floats, y: Floats, prior: Floats, variance: Floats, kernel: Floats) -> Floats:
    """The weights with the highest posterior under Gaussian priors around `prior`.

    Solved in as many dimensions as there are texts: `kernel` is x · variance · xᵀ.
    """
    base = x @ prior
    alpha = np.zeros(len(y))
    for _ in range(MOST_STEPS):
        lift = kernel @ alpha
        p = 1 / (1 + np.exp(-(base + lift)))
        slope = np.maximum(p * (1 - p), 1e-9)
        new = np.linalg.solve(kernel + np.diag(1 / slope), lift + (y - p) / slope)
        moved = float(np.abs(new - alpha).max())
        alpha = new
        if moved < 1e-6:
            break
    return prior + (x * variance).T @ alpha
