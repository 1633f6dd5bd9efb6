"""Logistic regression: small, deterministic, numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
REACH = 6.0
"""Standard deviations."""


@dataclass(frozen=True, slots=True)
class Regression:
    mean: Floats
    scale: Floats
    weights: Floats
    """The intercept first."""

    @classmethod
    def fit(cls, features: Floats, labels: Floats, *, ridge: float = 1.0, steps: int = 50) -> Regression:
        """Newton's method on standardised features; `ridge` keeps it finite where classes are separable."""
        mean, scale = features.mean(0), features.std(0)
        scale[scale == 0] = 1
        design = np.column_stack([np.ones(len(features)), _standard(features, mean, scale)])
        weights = np.zeros(design.shape[1])
        penalty = np.full(design.shape[1], ridge)
        penalty[0] = 1e-6
        for _ in range(steps):
            p = sigmoid(design @ weights)
            gradient = design.T @ (p - labels) + penalty * weights
            hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
            step = np.linalg.solve(hessian, gradient)
            weights -= step
            if np.abs(step).max() < 1e-6:
                break
        return cls(mean, scale, weights)

    def logits(self, features: Floats) -> Floats:
        """Summed row by row, not by BLAS, whose last bits depend on how many rows it is given."""
        scaled = _standard(features, self.mean, self.scale)
        return np.asarray((scaled * self.weights[1:]).sum(1) + self.weights[0])


def _standard(features: Floats, mean: Floats, scale: Floats) -> Floats:
    """Cut off at REACH, so that a note unlike those learned from in one respect is not judged by that alone."""
    return np.clip((features - mean) / scale, -REACH, REACH)


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, 1e-3, 0.999)
    return np.asarray(np.log(clipped / (1 - clipped)))
