"""Rules on signals: gradients that are lost or grow on their way back, weights of a wrong scale.

They go by the layers as they were before the first step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from chainrule.insight.culprits import SIGMOIDS, culprit, off_of
from chainrule.insight.evidence import Evidence
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
_SMALL, _LARGE = 0.1, 5.0  # of the gain of a kernel, in multiples of the activation's own
_HUGE = 30.0  # as _LARGE, for a network that has learnt next to nothing
_WILD = 5.0  # times the loss of knowing nothing: a first loss above it comes of too large weights
# Times the first layer's outputs and the deviation of the targets: what a deep network puts out
# whose branches add up (Zhang et al., "Fixup", arXiv 1901.09321, section 2); usual ones put out a
# few times as much.
_GROWN = 30.0
_FITS = {
    "relu": "he_normal",
    "elu": "he_normal",
    "gelu": "he_normal",
    "selu": "lecun_normal",
}
ADAM = {"optimizer": "adam"}


def on_signals(e: Evidence) -> Iterator[Finding]:
    """Yield what is wrong with signals on their way through the layers."""
    if e.first is None:
        return
    found = [*_backward(e), *_scale(e)]
    yield from found or _grown(e)


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

    names = names_of(model, (RNN,))
    return lambda name: name.split("/")[-1] in names


def names_of(layer: Layer, kinds: tuple[type[Layer], ...]) -> set[str]:
    """Return the names of the layers of these kinds, at any depth."""
    own = {layer.name} if isinstance(layer, kinds) else set()
    return own.union(*(names_of(part, kinds) for part in layer.sublayers()))


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
            {"layer": layer.name, "recurrent_initializer": "orthogonal", **ADAM},
            {"pull": layer.pull, "gain": layer.gain},
        )


def _lost(
    e: Evidence, kind: str, layer: LayerLook, ratio: float, layers: Sequence[LayerLook]
) -> Finding:
    hidden = [one for one in layers[:-1] if one.activation == layer.activation]
    names = list(dict.fromkeys([one.name for one in hidden] + [layer.name]))
    cause, remedy, change = _advice(e, kind, layer, len(layers))
    if "activation" in change and layer.into:
        names, change = [one.into for one in hidden if one.into], {"activation": "relu"}
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
        {"layers": names, **change, **ADAM},
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
    if layer.activation not in SIGMOIDS:
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
    off = {layer.name: off_of(layer) for layer in layers}
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


def _grown(e: Evidence) -> Iterator[Finding]:
    """Yield that signals grow on their way, by a little in each layer, far beyond the targets."""
    look = e.first
    layers = look.weighted if look is not None else []
    if look is None or not layers or e.learns or not look.loss > _GROWN**2 * e.chance:
        return
    times = layers[-1].spread / layers[0].spread if layers[0].spread else 0.0
    if times > _GROWN:
        yield Finding(
            "bad_initialization_scale",
            None,
            said(
                "the first loss is {loss:.3g}, and {nothing}; the outputs of the last layer vary "
                "{times:.3g} times as much as those of the first",
                loss=look.loss,
                nothing=e.nothing,
                times=times,
            ),
            said(
                "put BatchNormalization between the layers, or begin branches that are added up "
                "with smaller kernels"
            ),
            0,
            said(
                "signals grow a little from layer to layer, and there are {depth}",
                depth=len(layers),
            ),
            None,
            {"times": times, "layers": len(layers)},
        )


def fitting(activation: str) -> str:
    """Return the name of the initializer that keeps the deviation through this activation."""
    return _FITS.get(activation, "glorot_uniform")
