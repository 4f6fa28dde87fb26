"""Rules on layers: units that are alike or dead, outputs that are flat, signals that are lost.

Each looks at the layers as they were before the first step and as they are now. What was wrong and
is so no more has mended itself, and is not told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from chainrule.insight.evidence import Evidence
from chainrule.insight.layer_look import LayerLook
from chainrule.layers import RNN, Layer
from chainrule.training.finding import Finding

# By these limits no usual initializer with an activation that it suits is at fault; see
# `chainrule.training.verdicts`, whose tests hold them.
FAINT, LOUD = 1e-4, 1e3
_FAINTER = 1e-2  # as FAINT, for a network that has learnt next to nothing
_NARROWS = 0.1  # of the first layer's: a gradient that fades by depth has outputs that do so too
_PULL = 20.0  # a layer that counts once makes the loss change by its share; one over time by more
DEAD = 0.9
SATURATED = 0.5
_CULPRIT = 10.0  # so many times its neighbours' share in what is lost, one layer alone is at fault
_SMALL, _LARGE = 0.1, 5.0  # of the gain of a kernel, in multiples of the activation's own
_HUGE = 30.0  # as _LARGE, for a network that has learnt next to nothing
_WILD = 5.0  # times the loss of knowing nothing: a first loss above it comes of too large weights
_FITS = {
    "relu": "he_normal",
    "elu": "he_normal",
    "gelu": "he_normal",
    "selu": "lecun_normal",
}
_GAINS = {"relu": math.sqrt(2.0)}


def on_layers(e: Evidence) -> Iterator[Finding]:
    """Yield what is wrong with layers by themselves and with signals on their way through them."""
    if e.first is None:
        return
    yield from _alike(e)
    yield from _dead(e)
    yield from _saturated(e)
    yield from _backward(e)
    yield from _scale(e)


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
                "all its units have the same weights and get the same gradient, before the first "
                f"step as after {e.steps} steps",
                "begin with random kernels, e.g. GlorotUniform, which is the default",
                0,
                "its kernel begins with one number everywhere, so that its units stay one unit",
                {"layer": first.name, "kernel_initializer": fitting(first.activation)},
                {"gain": first.gain},
            )
            return  # what is alike in later layers follows from it


def _dead(e: Evidence) -> Iterator[Finding]:
    varies = bool(np.any(e.case.sample.x))
    for first, now in _pairs(e):
        if now.dead >= DEAD and varies:
            yield _dead_layer(e, first, now)
            return  # what is dead behind it gets nothing
        varies = now.spread > 0


def _dead_layer(e: Evidence, first: LayerLook, now: LayerLook) -> Finding:
    early = first.dead >= DEAD
    whole = {"bias_initializer": "zeros", "kernel_initializer": "he_normal"}
    return Finding(
        "dead_relu",
        first.name,
        f"{now.dead:.0%} of its units put out 0 for every one of {_rows(e)} samples, and so get "
        f"no gradient; before the first step {first.dead:.0%}",
        "begin with biases of 0 and HeNormal kernels; or use leaky_relu"
        if early
        else "lower the learning rate; or use leaky_relu",
        0 if early else e.since("dead", first.name, DEAD),
        "its biases begin far below 0, or its weights are such that no sample reaches it"
        if early
        else "steps were so large that they carried its biases or weights out of reach",
        {"layer": first.name, **whole} if early else _slower(e),
        {"dead": now.dead, "dead_at_first": first.dead},
    )


def _slower(e: Evidence) -> dict[str, float] | None:
    if e.trials is None or e.trials.rate <= 0:
        return None
    return {"optimizer.learning_rate": e.trials.rate / 10}


def _saturated(e: Evidence) -> Iterator[Finding]:
    for first, now in _pairs(e):
        early = first.saturated > SATURATED
        if now.saturated > SATURATED and (early or e.stuck):
            yield Finding(
                "saturated_activation",
                first.name,
                f"{now.saturated:.0%} of its {first.activation} outputs are where the slope is "
                f"less than 2 % of its largest, so that gradients die; {first.saturated:.0%} "
                "before the first step",
                f"begin with smaller kernels, e.g. {fitting(first.activation)}"
                if early
                else "lower the learning rate",
                0 if early else None,
                f"its kernel multiplies the deviation of its inputs by {first.gain:.3g}"
                if early
                else "steps were so large that its weighted sums ran off",
                {"layer": first.name, "kernel_initializer": fitting(first.activation)}
                if early
                else _slower(e),
                {"saturated": now.saturated, "saturated_at_first": first.saturated},
            )


def _backward(e: Evidence) -> Iterator[Finding]:
    """Yield that the gradient is lost or grows on its way back through the layers."""
    layers = e.first.weighted if e.first is not None else []
    last = layers[-1].error if layers else 0.0
    if not last > 0 or e.learns:
        return
    ratios = {layer.name: layer.error / last for layer in layers[:-1] if layer.error > 0}
    narrow = min(layer.spread for layer in layers) < _NARROWS * layers[0].spread
    limit = _FAINTER if e.stuck else FAINT
    faint = {name: ratio for name, ratio in ratios.items() if ratio < limit and narrow}
    loud = {name: ratio for name, ratio in ratios.items() if not ratio <= LOUD}
    if faint:
        name = min(faint, key=lambda n: faint[n])
        yield _lost("vanishing_gradient", culprit(layers, name, min), faint[name], layers)
    if loud:
        name = max(loud, key=lambda n: loud[n])
        yield _lost("exploding_gradient", culprit(layers, name, max), loud[name], layers)
    elif e.diverged or (e.stuck and e.chance_is_known):
        # Of a loss that is near 0 already the gradient is many times as large, in health too.
        again = _recurrent(e.case.model)
        yield from _over_time([one for one in layers if one.pull > _PULL and again(one.name)])


def _recurrent(model: Layer) -> Callable[[str], bool]:
    """Return what tells the names of layers that apply their weights to one step after another."""

    def within(layer: Layer) -> Iterator[str]:
        if isinstance(layer, RNN):
            yield layer.name
        for part in layer.sublayers():
            yield from within(part)

    names = set(within(model))
    return lambda name: name.split("/")[-1] in names


def _over_time(layers: Sequence[LayerLook]) -> Iterator[Finding]:
    """Yield that the loss changes by many times the share that one layer's weights do."""
    for layer in layers[:1]:
        yield Finding(
            "exploding_gradient",
            layer.name,
            f"before the first step, the gradient by its kernels times these is {layer.pull:.3g} "
            "times the loss",
            "begin with recurrent kernels that are orthogonal, with a gain of 1; and clip "
            "gradients (the optimizer's clipnorm)",
            0,
            "its weights are applied again and again, and each time the signal grows: its kernel "
            f"multiplies deviations by {layer.gain:.3g}",
            {"layer": layer.name, "recurrent_initializer": "orthogonal"},
            {"pull": layer.pull, "gain": layer.gain},
        )


def culprit(
    layers: Sequence[LayerLook], otherwise: str, extreme: Callable[..., LayerLook]
) -> LayerLook:
    """Return the one layer whose kernel alone makes the gradient fade or grow, if there is one."""
    gains = [layer.gain for layer in layers]
    far = extreme(layers, key=lambda layer: layer.gain)
    others = float(np.median(gains)) if len(gains) > 2 else math.nan
    if others > 0 and max(far.gain / others, others / max(far.gain, 1e-300)) > _CULPRIT:
        return far
    return next(layer for layer in layers if layer.name == otherwise)


def _lost(kind: str, layer: LayerLook, ratio: float, layers: Sequence[LayerLook]) -> Finding:
    hidden = [one for one in layers[:-1] if one.activation == layer.activation]
    names = [one.name for one in hidden]
    change: dict[str, object] = {"layers": names, "kernel_initializer": fitting(layer.activation)}
    gain = float(np.median([one.gain for one in hidden])) if hidden else layer.gain
    cause = (
        f"its kernel multiplies deviations by {layer.gain:.3g} and there are {len(layers)} layers"
    )
    if kind == "exploding_gradient":
        remedy = f"begin with smaller kernels, e.g. {fitting(layer.activation)}"
    elif layer.activation == "sigmoid":
        remedy = "use relu with HeNormal kernels: the slope of a sigmoid is at most 1/4"
        cause = f"each of {len(hidden)} sigmoids divides the gradient by 4 and more"
        change = {"layers": names, "activation": "relu", "kernel_initializer": "he_normal"}
    else:
        remedy = f"begin with larger kernels, e.g. {fitting(layer.activation)}"
    return Finding(
        kind,
        layer.name,
        f"before the first step, the gradient by a layer's outputs is {ratio:.1e} times as large "
        f"at its lowest as at the last layer"
        if kind == "vanishing_gradient"
        else f"before the first step, the gradient by a layer's outputs is {ratio:.1e} times as "
        "large as at the last layer",
        f"{remedy}; or put BatchNormalization between the layers",
        0,
        cause,
        change,
        {"ratio": ratio, "gain": gain},
    )


def _scale(e: Evidence) -> Iterator[Finding]:
    """Yield the layer whose weights begin much too large or too small."""
    look = e.first
    layers = look.weighted if look is not None else []
    if look is None or not layers:
        return
    spreads = [layer.spread for layer in layers]
    faint = [layer for layer in layers if 0 < layer.spread < FAINT * spreads[0]]
    wild = look.loss > _WILD * e.chance or not math.isfinite(look.loss)
    off = {layer.name: layer.gain / _GAINS.get(layer.activation, 1.0) for layer in layers}
    largest = max(layers, key=lambda layer: off[layer.name])
    smallest = min(layers, key=lambda layer: off[layer.name] or math.inf)
    if off[largest.name] > (_LARGE if wild else _HUGE if e.stuck else math.inf):
        evidence = (
            f"the first loss is {look.loss:.3g}, and knowing nothing would cost {e.chance:.3g}"
        )
        yield _scaled(
            largest, f"{evidence}; its kernel multiplies deviations by {largest.gain:.3g}"
        )
    elif off[smallest.name] < _SMALL and (faint or e.stuck):
        share = min(spreads) / max(spreads[0], 1e-300)
        evidence = f"its kernel multiplies deviations by {smallest.gain:.3g}"
        yield _scaled(
            smallest, f"{evidence}; the outputs of a later layer vary {share:.1e} as much"
        )


def _scaled(layer: LayerLook, evidence: str) -> Finding:
    what = fitting(layer.activation)
    return Finding(
        "bad_initialization_scale",
        layer.name,
        evidence,
        f"begin with kernels that keep the scale of signals, e.g. {what}",
        0,
        f"the initializer of its kernel does not fit {layer.activation or 'it'}",
        {"layer": layer.name, "kernel_initializer": what},
        {"gain": layer.gain},
    )


def fitting(activation: str) -> str:
    """Return the name of the initializer that keeps the deviation through this activation."""
    return _FITS.get(activation, "glorot_uniform")


def _rows(e: Evidence) -> int:
    return 0 if e.now is None else e.now.rows
