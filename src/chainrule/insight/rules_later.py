"""Rules on what the statistics show of later steps: gradients that begin to grow on the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from chainrule.insight.evidence import Evidence
from chainrule.training.finding import Finding
from chainrule.training.said import said

# Of the median before: clipping by the norm is set at a few times that (Pascanu et al., "On the
# difficulty of training recurrent neural networks", arXiv 1211.5063, section 3.2), and jumps that
# are harmless stay within a hundred times.
LOUD = 1e3
_BEFORE = 4  # looks of which a median is taken, at least


def on_steps(e: Evidence) -> Iterator[Finding]:
    """Yield that the gradient grew to a multiple of what it was, in a network that learns not."""
    s = e.statistics
    if s is None or not e.stuck or len(s) <= _BEFORE:
        return
    norms = np.asarray(s.gradient["norm"], np.float64)
    with np.errstate(all="ignore"):
        whole = np.sqrt(np.square(norms).sum(axis=1))
    for i in range(_BEFORE, len(whole)):
        usual = float(np.median(whole[:i]))
        if not np.isfinite(whole[i]):
            return
        if whole[i] > LOUD * usual > 0:
            with np.errstate(all="ignore"):
                growth = norms[i] / np.median(norms[:i], axis=0)
            most = s.weights[int(np.nanargmax(growth))]
            yield _grew(most.layer, int(s.steps[i]), float(whole[i]), usual)
            return


def _grew(layer: str, step: int, norm: float, usual: float) -> Finding:
    return Finding(
        "exploding_gradient",
        layer or None,
        said(
            "the norm of the gradient was {norm:.3g}, and {usual:.3g} in the median of the steps "
            "looked into before",
            norm=norm,
            usual=usual,
        ),
        said("clip gradients by their norm (the optimizer's clipnorm), or lower the learning rate"),
        step,
        said(
            "the weights came to a place where the loss is steep as a cliff, and were thrown off it"
        ),
        {"optimizer.clipnorm": float(f"{10 * usual:.1g}")},
        {"norm": norm, "usual": usual},
    )
