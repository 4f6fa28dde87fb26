"""Rules on layers: units that are alike or dead, outputs that are flat, signals that are lost.

Each looks at the layers as they were before the first step and as they are now. What was wrong and
is so no more has mended itself, and is not told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from chainrule.graph import ordered
from chainrule.insight.case import Case
from chainrule.insight.evidence import Evidence
from chainrule.insight.heads import layer_of
from chainrule.insight.layer_look import LayerLook
from chainrule.layers import RNN, Layer
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said

# That signals keep their size is what Glorot and Bengio (AISTATS 2010, equations 8 and 9) and He et
# al. (arXiv 1502.01852, equations 10 and 14) ask for. By these limits no usual initializer with an
# activation that it suits is at fault; see `chainrule.training.verdicts`, whose tests hold them.
FAINT, LOUD = 1e-4, 1e3
_FAINTER, _LOUDER = 1e-2, 50.0  # the same, for a network that has learnt next to nothing
_NARROWS = 0.1  # of the first layer's: a gradient that fades by depth has outputs that do so too
# A layer that counts once makes the loss change by about its share; one applied at each of t
# steps by t times that, where its signal grows (Pascanu et al., arXiv 1211.5063, section 2.1).
_PULL = 20.0
# He initialization leaves half of the outputs 0, but hardly a unit for all samples; of layers that
# have died all or nearly all do (Lu et al., "Dying ReLU and initialization", arXiv 1903.06733).
DEAD = 0.9
# Of tanh with unit inputs 1 % are so far out; of layers that have stopped learning most are (Glorot
# and Bengio, section 3.2 and figure 3).
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
_ADAM = {"optimizer": "adam"}
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
    varies = any(a.any() for a in e.case.inputs)
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
    whole = {"bias_initializer": "zeros", "kernel_initializer": "he_normal"}
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
        said("begin with biases of 0 and HeNormal kernels; or use leaky_relu")
        if early
        else said("lower the learning rate; or use leaky_relu"),
        0 if early else e.since("dead", first.name, DEAD),
        said("its biases begin far below 0, or its weights are such that no sample reaches it")
        if early
        else said("steps were so large that they carried its biases or weights out of reach"),
        {"layer": first.name, **whole} if early else _slower(e),
        {"dead": now.dead, "dead_at_first": first.dead},
    )


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
    begun = {"layer": first.name, "kernel_initializer": what, "bias_initializer": "zeros"}
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
            gain=first.gain,
        )
        if early
        else said("steps were so large that its weighted sums ran off"),
        {**begun, **_ADAM} if early else _slower(e),
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
    most = _LOUDER if e.stuck else LOUD
    loud = {name: ratio for name, ratio in ratios.items() if not ratio <= most}
    if faint:
        name = min(faint, key=lambda n: faint[n])
        yield _lost(e, "vanishing_gradient", culprit(layers, name, min), faint[name], layers)
    if loud:
        name = max(loud, key=lambda n: loud[n])
        yield _lost(e, "exploding_gradient", culprit(layers, name, max), loud[name], layers)
    elif e.diverged or (e.stuck and e.constant is not None):
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
            said(
                "before the first step, the gradient by its kernels times these is {pull:.3g} "
                "times the loss",
                pull=layer.pull,
            ),
            said(
                "begin with recurrent kernels that are orthogonal, with a gain of 1, and train "
                "with Adam; or clip gradients (the optimizer's clipnorm)"
            ),
            0,
            said(
                "its weights are applied again and again, and each time the signal grows: its "
                "kernel multiplies deviations by {gain:.3g}",
                gain=layer.gain,
            ),
            {"layer": layer.name, "recurrent_initializer": "orthogonal", **_ADAM},
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


def _lost(
    e: Evidence, kind: str, layer: LayerLook, ratio: float, layers: Sequence[LayerLook]
) -> Finding:
    hidden = [one for one in layers[:-1] if one.activation == layer.activation]
    names = list(dict.fromkeys([one.name for one in hidden] + [layer.name]))
    cause, remedy, change = _advice(e, kind, layer, len(layers))
    return Finding(
        kind,
        layer.name,
        said(
            "before the first step, the gradient by a layer's outputs is {ratio:.1e} times as "
            "large as at the last layer",
            ratio=ratio,
        )
        if kind == "exploding_gradient"
        else said(
            "before the first step, the gradient by a layer's outputs is {ratio:.1e} times as "
            "large at its lowest as at the last layer",
            ratio=ratio,
        ),
        said(
            "{remedy}; and train with Adam, whose steps do not go with the size of gradients; or "
            "put BatchNormalization between the layers",
            remedy=remedy,
        ),
        0,
        cause,
        {"layers": names, **change, **_ADAM},
        {"ratio": ratio, "gain": layer.gain, "layers": len(names)},
    )


def _advice(
    e: Evidence, kind: str, layer: LayerLook, depth: int
) -> tuple[Said, Said, dict[str, str]]:
    """Return a cause, a remedy and the arguments that it changes."""
    what = fitting(layer.activation)
    cause = said(
        "its kernel multiplies deviations by {gain:.3g}, and there are {depth} layers",
        gain=layer.gain,
        depth=depth,
    )
    if kind == "exploding_gradient":
        remedy = said("begin with smaller kernels, e.g. {initializer}", initializer=what)
        return cause, remedy, {"kernel_initializer": what}
    if layer.activation not in ("sigmoid", "hard_sigmoid"):
        remedy = said("begin with larger kernels, e.g. {initializer}", initializer=what)
        return cause, remedy, {"kernel_initializer": what}
    cause = said("the slope of a sigmoid is at most 1/4: each divides the gradient by 4 and more")
    if _recurrent(e.case.model)(layer.name):
        return cause, said("use tanh, or LSTM layers"), {"activation": "tanh"}
    change = {"activation": "relu", "kernel_initializer": "he_normal"}
    return cause, said("use relu with HeNormal kernels"), change


def _scale(e: Evidence) -> Iterator[Finding]:
    """Yield the layer whose weights begin much too large or too small."""
    look = e.first
    layers = look.weighted if look is not None else []
    if look is None or not layers:
        return
    spreads = [layer.spread for layer in layers]
    # Of a table that rows are looked up in, no sum is formed.
    layers = [layer for layer in layers if layer.activation != "take"] or layers
    faint = [layer for layer in layers if 0 < layer.spread < FAINT * spreads[0]]
    wild = look.loss > _WILD * e.chance or not math.isfinite(look.loss)
    off = {layer.name: layer.gain / _GAINS.get(layer.activation, 1.0) for layer in layers}
    largest = max(layers, key=lambda layer: off[layer.name])
    smallest = min(layers, key=lambda layer: off[layer.name] or math.inf)
    limit = _LARGE if wild else _HUGE if e.stuck else math.inf
    if off[largest.name] > limit:
        these = [layer for layer in layers if off[layer.name] > _LARGE]
        told = said(
            "the first loss is {loss:.3g}, and {nothing}; its kernel multiplies deviations by "
            "{gain:.3g}",
            loss=look.loss,
            nothing=e.nothing,
            gain=largest.gain,
        )
        yield _scaled(largest, told, these)
    elif off[smallest.name] < _SMALL and (faint or e.stuck):
        these = [layer for layer in layers if off[layer.name] < _SMALL]
        told = said(
            "its kernel multiplies deviations by {gain:.3g}; the outputs of a later layer vary "
            "{share:.1e} as much",
            gain=smallest.gain,
            share=min(spreads) / max(spreads[0], 1e-300),
        )
        yield _scaled(smallest, told, these)


def _scaled(layer: LayerLook, evidence: Said, these: Sequence[LayerLook]) -> Finding:
    what = fitting(layer.activation)
    return Finding(
        "bad_initialization_scale",
        layer.name,
        evidence,
        said(
            "begin with kernels that keep the scale of signals, e.g. {initializer}",
            initializer=what,
        ),
        0,
        said("the initializer of its kernel does not fit {activation}", activation=layer.activation)
        if layer.activation
        else said("the initializer of its kernel does not fit it"),
        {"layers": [one.name for one in these], "kernel_initializer": what},
        {"gain": layer.gain, "layers": len(these)},
    )


def fitting(activation: str) -> str:
    """Return the name of the initializer that keeps the deviation through this activation."""
    return _FITS.get(activation, "glorot_uniform")


def _rows(e: Evidence) -> int:
    return 0 if e.now is None else e.now.rows
