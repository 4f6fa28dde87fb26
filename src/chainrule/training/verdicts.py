"""When the first batch shows that a network will hardly learn, and what to do about it.

That activations and gradients keep their variance from layer to layer is what Glorot and Bengio
("Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
equations 8 and 9) and He et al. ("Delving Deep into Rectifiers", arXiv 1502.01852, equations 10
and 14) ask of initial weights. How far it may go astray is set here: by the limits below no usual
initializer is found at fault up to 20 layers with an activation that it suits, nor the default up
to 5 layers with any (sigmoids: 4), nor any network with BatchNormalization, as
`tests/test_initialization_check.py` holds; and the faults that stop training are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.dtypes import Array
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

FAINT, LOUD = 1e-4, 1e3  # of the first and the last layer's, how far a signal may sink and rise
SATURATED = 0.5  # the share of a layer's outputs in the flat ends
DEAD = 0.95  # the share of a layer's units that put out 0 for all samples
ENDS = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}


@dataclass(frozen=True)
class Weight:
    """A weight of several axes and its gradient; the last axis is that of the units."""

    name: str
    value: Array
    gradient: Array

    @property
    def moves(self) -> bool:
        """Whether the first step changes it."""
        return bool(self.gradient.any())

    @property
    def alike(self) -> bool:
        """Whether all units have the same weights and the same gradient, so that they stay one."""
        return self.value.shape[-1] > 1 and _alike(self.value) and _alike(self.gradient)


@dataclass(frozen=True)
class Signal:
    """What went through a layer: its outputs, their spread over the samples, the norm of the
    gradient of the loss by them, and the layer's weights."""

    layer: str
    activation: str
    output: Array
    spread: float
    error: float
    weights: list[Weight]


def judge(signals: Sequence[Signal], scale: float) -> list[Finding]:
    """Return all that is wrong with these layers; `scale` is the spread of the samples."""
    if not signals:
        return []
    for s in signals:
        lost = 1.0 - np.isfinite(s.output.reshape(len(s.output), -1)).all(axis=1).mean()
        if lost > 0:  # of a few samples only, the network is not to blame
            return [_not_finite(s)] if lost > 0.5 else []
    hidden = signals[:-1]
    return [*_stuck(hidden), *_saturated(hidden, scale), *_astray(signals)]


def _not_finite(s: Signal) -> Finding:
    return Finding(
        "not_finite",
        s.layer,
        said("for most of the samples its outputs are not all finite"),
        said("look at the initializer of its weights, and at the scale of the data"),
    )


def _stuck(signals: Sequence[Signal]) -> Iterator[Finding]:
    """Yield the layers whose units cannot change, or cannot become different."""
    for s in signals:
        if s.activation == "relu" and (share := _dead(s.output)) >= DEAD:
            yield Finding(
                "dead_relu",
                s.layer,
                said(
                    "{share:.0%} of its units put out 0 for every one of {rows} samples, and so "
                    "get no gradient",
                    share=share,
                    rows=len(s.output),
                ),
                said("begin with biases of 0 and HeNormal kernels; or use leaky_relu"),
            )
        elif any(w.alike for w in s.weights):
            zero = s.weights[0].value.any()
            if zero or not any(w.moves for w in s.weights):
                yield Finding(
                    "symmetric_initialization",
                    s.layer,
                    said(
                        "all its units have the same weights and gradients, so they stay one unit "
                        "for ever"
                    )
                    if zero
                    else said(
                        "all its units have weights of zero and no gradient, so they stay one "
                        "unit for ever"
                    ),
                    said("begin with random kernels, e.g. GlorotUniform, the default, or HeNormal"),
                )


def _saturated(signals: Sequence[Signal], scale: float) -> Iterator[Finding]:
    """Yield the layers whose outputs lie where the activation is flat."""
    for s in signals:
        if s.activation in ENDS and s.spread > 0:
            low, high = ENDS[s.activation]
            share = float(((s.output < low) | (s.output > high)).mean())
            if share > SATURATED:
                yield Finding(
                    "saturated_activation",
                    s.layer,
                    said(
                        "{share:.0%} of its {activation} outputs are within 1 % of their limits, "
                        "where gradients die",
                        share=share,
                        activation=s.activation,
                    ),
                    said("scale the data to a standard deviation of about 1")
                    if scale > 10
                    else said(
                        "begin with smaller kernels, e.g. {initializer}",
                        initializer=_fitting(s.activation),
                    ),
                )


def _astray(signals: Sequence[Signal]) -> Iterator[Finding]:
    """Yield the layers at which the spread of activations, or the gradient, is lost."""
    deep = [s for s in signals if s.weights]
    # Not the samples' own spread, which an outlier makes large, and a first layer may mend.
    first = deep[0].spread if deep else 0.0
    last = signals[-1].error
    for s in deep:
        if first > 0 and s.spread > LOUD * first:
            yield _signal("exploding_activation", s, s.spread / first)
        if 0 < s.spread < FAINT * first:
            yield _signal("vanishing_activation", s, s.spread / first)
    for s in deep:
        if last > 0 and s.error > LOUD * last:
            yield _signal("exploding_gradient", s, s.error / last)
        # Exactly 0 is another matter: a last layer that begins with zeros lets nothing through,
        # and is another one after the first step.
        if 0 < s.error < FAINT * last:
            yield _signal("vanishing_gradient", s, s.error / last)


def _signal(kind: str, s: Signal, ratio: float) -> Finding:
    if kind.endswith("gradient"):
        told = said(
            "the gradient by its outputs is {ratio:.1e} times the last layer's", ratio=ratio
        )
    else:
        told = said("the spread of its outputs is {ratio:.1e} times the first layer's", ratio=ratio)
    return Finding(kind, s.layer, told, _other_kernels(kind, s.activation))


def _other_kernels(kind: str, activation: str) -> Said:
    if kind.startswith("exploding"):
        return said(
            "begin with smaller kernels, e.g. {initializer}; or put BatchNormalization between "
            "the layers",
            initializer=_fitting(activation),
        )
    if activation == "sigmoid":
        return said(
            "use relu with HeNormal kernels, or tanh: each sigmoid divides by 4 and more; or put "
            "BatchNormalization between the layers"
        )
    return said(
        "begin with larger kernels, e.g. {initializer}; or put BatchNormalization between the "
        "layers",
        initializer=_fitting(activation),
    )


def _fitting(activation: str) -> str:
    """Return the initializer that keeps the variance through this activation."""
    fits = {"relu": "HeNormal", "selu": "LecunNormal", "elu": "HeNormal", "gelu": "HeNormal"}
    return fits.get(activation, "GlorotUniform")


def _dead(output: Array) -> float:
    """Return the share of units that are 0 in all rows."""
    return float((~output.any(axis=0)).mean()) if output.size else 0.0


def _alike(a: Array) -> bool:
    """Return whether all units, along the last axis, have the same numbers up to rounding."""
    return bool(np.ptp(a, axis=-1).max(initial=0.0) <= 1e-6 * np.abs(a).max(initial=0.0))
