"""Rules on layers by themselves: units that are alike or dead, outputs that are flat.

Each looks at the layers as they were before the first step and as they are now. What was wrong and
is so no more has mended itself, and is not told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import takewhile

from chainrule.graph import ordered
from chainrule.insight.case import Case
from chainrule.insight.evidence import Evidence
from chainrule.insight.heads import layer_of
from chainrule.insight.layer_look import LayerLook
from chainrule.insight.rules_signals import ADAM, fitting, names_of
from chainrule.layers import BatchNormalization, GroupNormalization, LayerNormalization
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

# He initialization leaves half of the outputs 0, but hardly a unit for all samples; of layers that
# have died all or nearly all do (Lu et al., "Dying ReLU and initialization", arXiv 1903.06733).
DEAD = 0.9
# Of tanh with unit inputs 1 % are so far out; of layers that have stopped learning most are (Glorot
# and Bengio, section 3.2 and figure 3).
SATURATED = 0.5
_FEWEST = 8  # samples: by fewer a unit that is 0 for all is not known from one that is so for half


def on_layers(e: Evidence) -> Iterator[Finding]:
    """Yield what is wrong with layers by themselves."""
    if e.first is None:
        return
    yield from _alike(e)
    yield from _dead(e)
    yield from _saturated(e)


def _pairs(e: Evidence) -> list[tuple[LayerLook, LayerLook]]:
    """Return the hidden layers as they were at first and as they are now; none where all were
    well and the network learns."""
    if e.first is None or (e.learns and not any(map(_amiss, e.first.layers[:-1]))):
        return []
    if e.now is None or len(e.first.layers) != len(e.now.layers):
        return []
    return list(zip(e.first.layers[:-1], e.now.layers[:-1], strict=True))


def _amiss(layer: LayerLook) -> bool:
    return layer.alike or layer.dead >= DEAD or layer.saturated > SATURATED


def _alike(e: Evidence) -> Iterator[Finding]:
    for first, now in _pairs(e):
        if first.alike and now.equal:
            yield Finding(
                "symmetric_initialization",
                first.name,
                said(
                    "all its units have the same weights and get the same gradient, before the "
                    "first step as after {steps} steps",
                    steps=e.steps,
                ),
                said("begin with random kernels, e.g. GlorotUniform, which is the default"),
                0,
                said(
                    "its kernel begins with one number everywhere, so that its units stay one unit"
                ),
                {"layer": first.name, "kernel_initializer": fitting(first.activation)},
                {"gain": first.gain},
            )
            return  # what is alike in later layers follows from it


def _dead(e: Evidence) -> Iterator[Finding]:
    varies = any(a.any() for a in e.case.inputs) and _rows(e) >= _FEWEST
    idle = _idle(e.case)
    for first, now in _pairs(e):
        if first.name in idle:
            continue
        if now.dead >= DEAD and varies:
            yield _dead_layer(e, first, now)
            return  # what is dead behind it gets nothing
        varies = now.spread > 0


def _idle(case: Case) -> set[str | None]:
    """Return the layers that samples reach by inputs only that are 0 throughout."""
    arrays = case.sample.arrays()
    reached = {value for name, value in case.traced.feeds.items() if arrays[name].any()}
    nodes = ordered(case.traced.outputs)
    for node in nodes:
        if not reached.isdisjoint(node.arguments):
            reached.update(node.outputs)
    busy = {layer_of(node) for node in nodes if not reached.isdisjoint(node.outputs)}
    return {layer_of(node) for node in nodes} - busy


def _dead_layer(e: Evidence, first: LayerLook, now: LayerLook) -> Finding:
    early = first.dead >= DEAD
    cause, remedy, change = _reborn(e, first) if early else _kept_alive(e)
    return Finding(
        "dead_relu",
        first.name,
        said(
            "{dead:.0%} of its units put out 0 for every one of {rows} samples, and so get no "
            "gradient; before the first step {first:.0%}",
            dead=now.dead,
            rows=_rows(e),
            first=first.dead,
        ),
        remedy,
        0 if early else e.since("dead", first.name, DEAD),
        cause,
        change,
        {"dead": now.dead, "dead_at_first": first.dead},
    )


def _reborn(e: Evidence, layer: LayerLook) -> tuple[Said, Said, dict[str, str]]:
    """Return why a layer begins dead, a remedy and the arguments that it changes."""
    if normalization := _normalization(e, layer):
        return (
            said("{layer!r} before it begins with a beta far below 0", layer=normalization),
            said("begin with a beta of 0 and a gamma of 1, as is the default; or use leaky_relu"),
            {"layer": normalization, "beta_initializer": "zeros", "gamma_initializer": "ones"},
        )
    return (
        said("its biases begin far below 0, or its weights are such that no sample reaches it"),
        said("begin with biases of 0 and HeNormal kernels; or use leaky_relu"),
        {
            "layer": _weighted(e, layer).name,
            "bias_initializer": "zeros",
            "kernel_initializer": "he_normal",
        },
    )


def _kept_alive(e: Evidence) -> tuple[Said, Said, dict[str, float] | None]:
    """Return why a layer has died on the way, a remedy and the arguments that it changes."""
    return (
        said("steps were so large that they carried its biases or weights out of reach"),
        said("lower the learning rate; or use leaky_relu"),
        _slower(e),
    )


def _normalization(e: Evidence, layer: LayerLook) -> str:
    """Return the name of what normalizes the sums that an activation is applied to, if it does."""
    if e.first is None or not math.isnan(layer.gain):
        return ""
    before = takewhile(lambda one: one is not layer, e.first.layers)
    names = names_of(e.case.model, (BatchNormalization, LayerNormalization, GroupNormalization))
    behind = takewhile(lambda one: math.isnan(one.gain), reversed(list(before)))
    return next((one.name for one in behind if one.name.split("/")[-1] in names), "")


def _weighted(e: Evidence, layer: LayerLook) -> LayerLook:
    """Return the layer whose outputs an activation is applied to; any other layer itself."""
    before = [] if e.first is None else e.first.layers
    return next((one for one in before if one.into == layer.name), layer)


def _slower(e: Evidence) -> dict[str, float] | None:
    if e.trials is None or not e.trials.rate > 0:
        return None
    return {"optimizer.learning_rate": e.trials.rate / 10}


def _saturated(e: Evidence) -> Iterator[Finding]:
    for first, now in _pairs(e):
        early = first.saturated > SATURATED
        if now.saturated > SATURATED and (early or e.stuck):
            yield _saturated_layer(e, first, now, early)


def _saturated_layer(e: Evidence, first: LayerLook, now: LayerLook, early: bool) -> Finding:
    what = fitting(first.activation)
    kernel = _weighted(e, first)
    begun = {"layer": kernel.name, "kernel_initializer": what, "bias_initializer": "zeros"}
    return Finding(
        "saturated_activation",
        first.name,
        said(
            "{saturated:.0%} of its {activation} outputs are where the slope is less than 2 % of "
            "its largest, so that gradients die; {first:.0%} before the first step",
            saturated=now.saturated,
            activation=first.activation,
            first=first.saturated,
        ),
        said(
            "begin with smaller kernels, e.g. {initializer}, and biases of 0; and train with Adam",
            initializer=what,
        )
        if early
        else said("lower the learning rate"),
        0 if early else e.since("saturated", first.name, SATURATED),
        said(
            "its kernel multiplies the deviation of its inputs by {gain:.3g}, or its biases are "
            "far from 0",
            gain=kernel.gain,
        )
        if early
        else said("steps were so large that its weighted sums ran off"),
        {**begun, **ADAM} if early else _slower(e),
        {"saturated": now.saturated, "saturated_at_first": first.saturated},
    )


def _rows(e: Evidence) -> int:
    return 0 if e.now is None else e.now.rows
