"""Dropout and penalties that leave nothing to be learnt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.insight.case import Case
from chainrule.insight.head_rules import leaves
from chainrule.insight.probes import probe
from chainrule.insight.standing import Standing, standing
from chainrule.layers import Layer
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

# Srivastava et al., "Dropout" (JMLR 15, 2014), section 7.3 and figure 9: the test error is flat
# where 0.4 to 0.8 of the units are kept and rises quickly below, for want of units.
RATE = 0.6
LOST = 0.75  # of the skill without dropout: what training with it shows where it is not too much

# A penalty is too strong where it is a large part of what is made small, or has made the weights
# so small, and the network has not learnt what simple learners can.
PART = 0.2  # of loss and penalty
NOTHING = 0.05  # of the way from a constant answer to no loss
SHRUNK = 0.2  # of the size that the weights of a layer began with
LITTLE = 0.5  # of the way from a constant answer to no loss
_BEHIND = 0.05  # of the skill of simple learners
# Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599), section 3: networks are
# too sure of themselves, the less so the more weight decay. One that on what it learns from is this
# much less sure than it is right has weights that are held down.
UNSURE = 0.15


def dropout_too_strong(case: Case) -> list[Finding]:
    """Return a dropout that leaves so few units that the network does not learn with it."""
    layers = [layer for layer in leaves(case.model) if _rate(layer) >= RATE]
    kept = float(np.prod([1 - _rate(layer) for layer in layers]))
    if not layers or not np.isfinite(case.curve("loss")).all():
        return []
    now = standing(case)
    if now is None or not now.chance > 0:
        return []
    penalty = penalties_of(case)
    noisy = 1.0 - (float(case.curve("loss")[-1]) - sum(penalty.values())) / now.chance
    if noisy > LOST * now.learnt and not _poor(case, now):
        return []
    worst = max(layers, key=_rate)
    names = [layer.name for layer in layers]
    change: dict[str, Any] = {"layers": names} if len(names) > 1 else {"layer": names[0]}
    return [
        Finding(
            "dropout_too_strong",
            worst.name,
            _left(case, now, _rate(worst), len(layers), kept),
            said("use a rate from 0.2 to 0.5"),
            step=None if case.steps is None else case.epochs * case.steps - 1,
            cause=said("in each step there are hardly any units to learn with"),
            change={**change, "rate": 0.3 if len(names) == 1 else 0.1},
            numbers={"rate": _rate(worst), "kept": kept, "with": noisy, "without": now.learnt},
        )
    ]


def _left(case: Case, now: Standing, rate: float, layers: int, kept: float) -> Said:
    found = {
        "left": 1 - rate,
        "loss": case.curve("loss")[-1],
        "without": now.loss,
        "chance": now.chance,
    }
    if layers > 1:
        return said(
            "it leaves {left:.0%} of its inputs, and {layers} such layers together {kept:.1%}; in "
            "training, with it, the loss is {loss:.4g}, without it on the same samples "
            "{without:.4g}, and a constant answer has {chance:.4g}",
            layers=layers,
            kept=kept,
            **found,
        )
    return said(
        "it leaves {left:.0%} of its inputs; in training, with it, the loss is {loss:.4g}, without "
        "it on the same samples {without:.4g}, and a constant answer has {chance:.4g}",
        **found,
    )


def _rate(layer: Layer) -> float:
    """Return the share that a layer drops; 0 for other layers."""
    if "Dropout" not in type(layer).__name__:
        return 0.0
    return float(getattr(layer, "rate", 0.0))


def _poor(case: Case, now: Standing) -> bool:
    """Return whether a network has not learnt what simple learners can; where some samples count
    more than others, which they do not know of, whether it has learnt next to nothing."""
    simple = probe(case)
    if case.sample.weights is not None:
        return now.learnt < NOTHING and (simple is None or simple.related)
    if simple is None:
        return now.learnt < LITTLE
    return simple.related and simple.score - now.skill > _BEHIND


def _unsure(now: Standing) -> bool:
    """Return whether the probabilities that a network gives are far below the share of samples
    that it is right on."""
    p = now.outputs
    if not now.classes or p.min() < 0 or p.max() > 1:
        return False
    sure = np.maximum(p, 1 - p) if p.shape[1] == 1 else p.max(axis=1)
    return now.skill - float(sure.mean()) > UNSURE


def first_weights(case: Case) -> list[Finding]:
    """Keep size and penalty of the weights as they begin; return nothing."""
    case.memo["first weights"] = {v.name: _size(v) for v in case.model.trainable_variables}
    case.memo["first penalties"] = penalties_of(case)
    return []


def _size(variable: Any) -> float:
    return float(np.sqrt(np.square(variable.value, dtype=np.float64).mean()))


def penalties_of(case: Case) -> dict[str, float]:
    """Return the penalty of each layer's weights, as they are now."""
    found: dict[str, float] = {}
    for layer in leaves(case.model):
        for variable in layer._own:
            if variable.trainable and variable.regularizer:
                value = float(variable.regularizer(ops.as_value(variable.value)).item())
                found[layer.name] = found.get(layer.name, 0.0) + value
    return found


def regularization_too_strong(case: Case) -> list[Finding]:
    """Return penalties, or a weight decay, that keep the weights from growing to what the network
    needs."""
    decay = float(getattr(case.trainer.optimizer, "weight_decay", None) or 0.0)
    penalties = penalties_of(case)
    if not (decay or penalties) or not np.isfinite(case.curve("loss")).all():
        return []
    begun: dict[str, float] = case.memo.get("first weights", {})
    shrunk = [name for name, size in _shrunk(case, begun) if size < SHRUNK]
    total = sum(penalties.values())
    share = total / max(abs(float(case.curve("loss")[-1])), 1e-300)
    if not (share > PART or shrunk):
        return []
    now = standing(case)
    if now is None or not now.chance > 0 or not (_unsure(now) or _poor(case, now)):
        return []
    if penalties:
        return [_penalized(case, now, penalties, share)]
    return [_decayed(case, now, decay, shrunk)]


def _shrunk(case: Case, begun: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Yield the kernels with their sizes, as shares of those that they began with."""
    for variable in case.model.trainable_variables:
        first = begun.get(variable.name, 0.0)
        if variable.ndim > 1 and first > 0:
            yield variable.name, _size(variable) / first


def _penalized(case: Case, now: Standing, penalties: dict[str, float], share: float) -> Finding:
    first: dict[str, float] = case.memo.get("first penalties", penalties)
    worst = max(penalties, key=lambda name: first.get(name, 0.0))
    names = list(dict.fromkeys(n.name for n in leaves(case.model) if n.name in penalties))
    change: dict[str, Any] = {"layers": names} if len(names) > 1 else {"layer": names[0]}
    return Finding(
        "regularization_too_strong",
        worst,
        said(
            "the penalty of its weights began at {first:.3g}; now all penalties together are "
            "{share:.0%} of what is made small, and the loss itself is {loss:.4g}, where a "
            "constant answer has {chance:.4g}",
            first=first.get(worst, 0.0),
            share=min(share, 1.0),
            loss=now.loss,
            chance=now.chance,
        ),
        said("use a penalty a hundred times smaller, e.g. L2(1e-4)"),
        step=None if case.steps is None else case.epochs * case.steps - 1,
        cause=said("small weights are worth more than right answers"),
        change={**change, "kernel_regularizer": None},
        numbers={"share": share, "loss": now.loss, "chance": now.chance},
    )


def _decayed(case: Case, now: Standing, decay: float, shrunk: list[str]) -> Finding:
    return Finding(
        "regularization_too_strong",
        None,
        said(
            "a weight decay of {decay:g} has made {kernels} kernels ({first}, ...) less than "
            "{limit:.0%} of the size that they began with; the loss is {loss:.4g}, and a constant "
            "answer has {chance:.4g}",
            decay=decay,
            kernels=len(shrunk),
            first=shrunk[0],
            limit=SHRUNK,
            loss=now.loss,
            chance=now.chance,
        ),
        said("use a weight decay of 0.0001 to 0.01"),
        step=None if case.steps is None else case.epochs * case.steps - 1,
        cause=said("weights are drawn to 0 faster than they can learn"),
        change={"optimizer.weight_decay": 0.004},
        numbers={"weight_decay": decay, "loss": now.loss, "chance": now.chance},
    )
