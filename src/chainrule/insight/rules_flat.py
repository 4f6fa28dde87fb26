"""Rules on places where the loss is flat: plateaus and saddle points, told by slope and curvature.

At saddle points the gradient is small though the loss is high and bends down in some direction
(Dauphin et al., "Identifying and attacking the saddle point problem", arXiv 1406.2572); where there
are more layers it hardly bends, and the plateau is the longer (Saxe et al., arXiv 1312.6120).

That such a place is not a minimum is tried out: a few steps with Adam, which divides gradients by
their size, must lead out of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.errors import ChainruleError
from chainrule.insight.curvature import Eigenvalues, spectrum
from chainrule.insight.evidence import Evidence
from chainrule.insight.objective import Objective
from chainrule.optimizers import SGD
from chainrule.training.finding import Finding
from chainrule.training.said import said

_FEWEST = 3  # epochs in which the loss stands still
_STILL = 0.01  # of the loss of knowing nothing: a change from epoch to epoch that is none
_FLAT = 0.1  # ||gradient|| ||weights|| / loss: at usual weights it is about 1, and more
_DOWN = 1e-2  # of the largest curvature: how far the loss must bend down at a saddle point
_OUT = 0.05  # of the loss of knowing nothing: how far steps with Adam must come below
_PRODUCTS = 40  # Hessian-vector products: enough for the ends of a spectrum to 1 %
_MOST = 2**20  # weights of which a curvature is taken
_RATE = 0.01
_CREEPS = 1e-3  # of the highest stable rate, or of _RATE: a lower one is at fault, not the place


def on_flat(e: Evidence) -> Iterator[Finding]:
    """Yield that the loss stands still where its gradient is small, and still could be lower."""
    if not _still(e) or e.trials is None:
        return
    try:
        objective = Objective(e.case.trainer, e.case.sample, 256, exact=False)
        if not 0 < objective.size <= _MOST:
            return
        weights = objective.weights
        loss, slope = objective.gradient(weights)
    except ChainruleError:
        return
    flatness = _flatness(objective, weights, slope, loss)
    if not 0 < flatness < _FLAT:
        return
    level = e.chance if math.isfinite(e.chance) else abs(loss)
    out = e.trials.led_out(_RATE)
    if not loss - out > _OUT * level:
        return
    try:
        bends = spectrum(objective, 1, _PRODUCTS)
    except ChainruleError:
        return
    if not _creeps(e, bends):
        yield _named(e, bends, flatness, out)


def _still(e: Evidence) -> bool:
    """Return whether the loss did not change over the second half of the epochs."""
    losses = np.asarray(e.losses, np.float64)
    if len(losses) < _FEWEST or not np.isfinite(losses).all() or not e.chance > 0:
        return False
    half = losses[len(losses) // 2 - 1 :]
    return float(np.abs(np.diff(half)).max()) < _STILL * e.chance


def _flatness(objective: Objective, weights: np.ndarray, slope: np.ndarray, loss: float) -> float:
    """Return ``sum_v ||g_v|| ||w_v|| / loss`` over the weights v, which no scale changes."""
    pairs = zip(objective.split(slope), objective.split(weights), strict=True)
    total = sum(float(np.linalg.norm(g) * np.linalg.norm(w)) for g, w in pairs)
    return total / abs(loss) if loss else 0.0


def _creeps(e: Evidence, bends: Eigenvalues) -> bool:
    """Return whether the learning rate is so low that nothing moves, whatever the place."""
    rate = 0.0 if e.trials is None else e.trials.rate
    sgd = isinstance(e.case.trainer.optimizer, SGD)
    return not rate >= _CREEPS * (bends.stable_rate if sgd else _RATE)


def _named(e: Evidence, bends: Eigenvalues, flatness: float, out: float) -> Finding:
    top, low = float(bends.largest[0]), float(bends.smallest[0])
    saddle = low < -_DOWN * abs(top)
    numbers = {
        "loss": bends.loss,
        "flatness": flatness,
        "smallest": low,
        "largest": top,
        "out": out,
    }
    return Finding(
        "saddle_point" if saddle else "plateau",
        None,
        said(
            "the loss stands still at {loss:.4g}; its gradient times the weights is "
            "{flatness:.1e} of it, and it bends down in some direction (curvatures from "
            "{smallest:.2g} to {largest:.2g}); steps with Adam lead down to {out:.3g}",
            **numbers,
        )
        if saddle
        else said(
            "the loss stands still at {loss:.4g}; its gradient times the weights is "
            "{flatness:.1e} of it, and it hardly bends down anywhere (curvatures from "
            "{smallest:.2g} to {largest:.2g}); steps with Adam lead down to {out:.3g}",
            **numbers,
        ),
        said(
            "train with Adam at about {rate:g}, which takes steps of a size that does not go with "
            "the gradient's; or begin with larger random weights",
            rate=_RATE,
        ),
        (len(e.losses) // 2) * e.per_epoch,
        said("the weights are near a point where the gradient is 0, which is no minimum"),
        {"optimizer": "adam", "optimizer.learning_rate": _RATE},
        numbers,
    )
