"""The probe: does z0 say which class an image is of?

Softmax regression on the z0 of training images, standardized, with an L2 penalty; its accuracy is
measured on images that it was not fitted to. The fit is a convex problem with one solution, and
starts from 0, so it needs no seed.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

ITERATIONS = 200
LEAST_DEVIATION = 1e-6  # a value that never varies stays 0


class Probe:
    """A fitted softmax regression.

    Args:
        features: (n, values) of training images.
        labels: (n,) of 0 to classes - 1.
        classes: Number of classes.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, classes: int):
        x = features.astype(np.float64)
        self.mean, self.deviation = x.mean(0), np.maximum(x.std(0), LEAST_DEVIATION)
        x = (x - self.mean) / self.deviation
        n, values = x.shape
        targets = np.eye(classes)[labels]

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            """Mean cross-entropy + |W|^2 / 2n, and its gradient (Bishop 2006, section 4.3.4)."""
            weights = flat.reshape(values + 1, classes)
            logits = x @ weights[:-1] + weights[-1]
            logs = logits - logsumexp(logits, axis=1, keepdims=True)
            error = (np.exp(logs) - targets) / n
            gradient = np.concatenate([x.T @ error + weights[:-1] / n, error.sum(0)[None]])
            penalty = np.square(weights[:-1]).sum() / (2 * n)
            return -(targets * logs).sum() / n + penalty, gradient.ravel()

        start = np.zeros((values + 1) * classes)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
        self.weights = found.x.reshape(values + 1, classes)

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Return how often the most likely class is right."""
        x = (features.astype(np.float64) - self.mean) / self.deviation
        return float(((x @ self.weights[:-1] + self.weights[-1]).argmax(1) == labels).mean())
