"""The chain rule with a network's own numbers, layer by layer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import activations
from chainrule.data.batches import Batches
from chainrule.dtypes import Array
from chainrule.errors import NotBuiltError, unknown_name
from chainrule.executors import Fault
from chainrule.graph import Value, Variable, among, gradient
from chainrule.graph.trail import numbering_outputs
from chainrule.insight import explain_page, explain_text
from chainrule.insight.explain_graph import Path, Place, more_of, places
from chainrule.insight.posed import given
from chainrule.layers import Layer
from chainrule.layers.recurrent import states_aside
from chainrule.models.prepared import whole
from chainrule.optimizers import LBFGS
from chainrule.training.aside import load, loss_of, without_metrics
from chainrule.training.checks import explain as mistake
from chainrule.training.initialization import Watcher, layer_name
from chainrule.training.step import layout_of
from chainrule.training.trace import Traced, trace
from chainrule.training.trainer import Trainer

if TYPE_CHECKING:
    from chainrule.models.model import Model


@dataclass(frozen=True, eq=False)
class WeightStep:
    """What one step does to a weight.

    Attributes
    ----------
    name : str
        E.g. ``"hidden.kernel"``.
    value : numpy.ndarray
        Before the step.
    gradient : numpy.ndarray
        ``dL/dw``.
    update : numpy.ndarray or None
        What the optimizer adds to the weight; ``None`` for L-BFGS, whose steps are of their own
        kind.
    """

    name: str
    value: Array
    gradient: Array
    update: Array | None
    more: str = field(default="", repr=False)  # what else adds to the gradient, in words


@dataclass(frozen=True, eq=False)
class LayerStep:
    """What one layer does in a step; arrays have a row for each sample. Of a layer that is called
    several times it is the last call, and its weights have the gradients of all.

    Of a layer with several outputs that are taken there is one for each, the first with the
    weights: ``"lstm"``, ``"lstm [1]"``. Weights that are in no layer are the model's, which is the
    last then.

    Attributes
    ----------
    name, kind : str
        The layer's name (within another behind that one's and a slash) and class.
    label : str
        The layer as errors name it.
    activation : str
        The function from `sums` to `output`: ``"relu"``, ...; empty where there is none.
    sums : numpy.ndarray or None
        The weighted sums z; for a layer that is nothing but an activation, its input.
    output : numpy.ndarray
        The activations a = f(z).
    slope : numpy.ndarray or None
        The local derivative f'(z) of each number; ``None`` for a softmax, of which each output
        depends on every sum.
    error : numpy.ndarray or None
        The error signal dL/da; ``None`` where the loss does not go through it: that of a softmax or
        sigmoid at the end begins at the sums.
    delta : numpy.ndarray or None
        dL/dz, which is error times slope; where the loss, or another layer, takes the layer's sums
        as well, the sum of both. What other layers take of its input does not count.
    weights : tuple of WeightStep
        Its trainable weights.
    """

    name: str
    kind: str
    label: str
    activation: str
    sums: Array | None
    output: Array
    slope: Array | None
    error: Array | None
    delta: Array | None
    weights: tuple[WeightStep, ...]
    within: bool = field(default=True, repr=False)  # whether the layer has made the sums itself
    source: str = field(default="", repr=False)  # where the error signal comes from, in words
    past: bool = field(default=False, repr=False)  # whether the sums are taken by others as well

    @property
    def signal(self) -> Array | None:
        """What comes back to the layer: dL/da, or dL/dz where the loss begins there."""
        return self.delta if self.error is None else self.error

    def arrays(self) -> Iterator[Array]:
        """Yield all arrays."""
        every = (self.sums, self.output, self.slope, self.error, self.delta)
        yield from (a for a in every if a is not None)
        for w in self.weights:
            yield from (a for a in (w.value, w.gradient, w.update) if a is not None)


@dataclass(frozen=True, eq=False)
class Explanation:
    """One step of training in numbers; shows itself in a terminal and in a notebook.

    Attributes
    ----------
    model : str
        The model's name.
    layers : tuple of LayerStep
        In the order of their outputs.
    inputs : tuple of numpy.ndarray
        The samples.
    targets : tuple of numpy.ndarray
        What they should give.
    loss : float
        What the step makes smaller, penalties included.
    loss_name : str
        Which loss that is.
    optimizer : str
        Which rule makes the update, and its learning rate.
    numbers : int
        Arrays of at most so many numbers are shown whole, others by their size and spread.
    """

    model: str
    layers: tuple[LayerStep, ...]
    inputs: tuple[Array, ...]
    targets: tuple[Array, ...]
    loss: float
    loss_name: str
    optimizer: str
    numbers: int = 64

    def __getitem__(self, name: str) -> LayerStep:
        """Return the layer of this name."""
        known = {layer.name: layer for layer in self.layers}
        if name not in known:
            raise unknown_name("layer", name, known)
        return known[name]

    @property
    def small(self) -> bool:
        """Whether the network is so small that every number is shown."""
        arrays = [*self.inputs, *(a for layer in self.layers for a in layer.arrays())]
        return all(a.size <= self.numbers for a in arrays)

    def __str__(self) -> str:
        return explain_text.text(self)

    def __repr__(self) -> str:
        return f"<Explanation of {self.model!r}: {len(self.layers)} layers, loss {self.loss:.6g}>"

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield explain_text.rendered(self, options.max_width)

    def _repr_html_(self) -> str:
        return explain_page.fragment(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one HTML page, which needs nothing from elsewhere.

        Raises
        ------
        FileError
            Where it cannot be written.
        """
        explain_page.save(self, path)


def explain(
    model: Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    samples: int = 32,
    numbers: int = 64,
) -> Explanation:
    """``dL/dz = dL/da f'(z)``, ``dL/dW = x' dL/dz``: the chain rule with this network's numbers.

    One step of training over the samples, as `train_on_batch` would take it with the optimizer as
    it is, of which nothing is stored: for each layer the weighted sums, activations, local
    derivatives, the error signal, and for each weight its gradient and update.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t]; sample_weight : [n]

    Parameters
    ----------
    model : Model
        Compiled; one that has no weights yet gets them.
    x, y, sample_weight
        As in `train_on_batch`.
    samples : int, default 32
        At least 1: how many samples the step is over, from all over the data.
    numbers : int, default 64
        Arrays of at most so many numbers are shown whole, others by their size and spread.

    Returns
    -------
    Explanation
        Printed, a table; in a notebook, and with ``save("page.html")``, a page. Its arrays are
        there for all layers, large or small: ``explain(model, x, y)["hidden"].delta``.

    Raises
    ------
    DataError, ShapeError, NotBuiltError
        As `fit`.
    ArgumentError
        For a model with a `train_step` of its own.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.layers import Dense, Input
    >>> model = cr.Sequential([Input((2,)), Dense(1, "sigmoid", name="out")])
    >>> model.layers[0].set_weights([np.array([[2.0], [-1.0]]), np.zeros(1)])
    >>> model.compile(cr.optimizers.SGD(0.5), "mse")
    >>> step = cr.explain(model, [[1.0, 2.0]], [1.0])
    >>> out = step["out"]  # z = 2 - 2 = 0, a = 1/2, L = (1 - 1/2)^2
    >>> out.sums.item(), out.output.item(), out.slope.item(), step.loss
    (0.0, 0.5, 0.25, 0.25)
    >>> out.error.item(), out.delta.item()
    (-1.0, -0.25)
    >>> out.weights[0].gradient.ravel().tolist(), out.weights[0].update.ravel().tolist()
    ([-0.25, -0.5], [0.125, 0.25])

    Source
    ------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature
    323, 1986, equations 1 to 8.
    """
    count, most = whole("samples", samples), whole("numbers", numbers)
    trainer, batches = given("explain", model, x, y, sample_weight, count)
    if trainer.optimizer is None:
        raise NotBuiltError("the model has no optimizer: call compile(optimizer=..., loss=...)")
    with trainer.optimizer.lent(None), states_aside(model):
        loss, layers = _taken(trainer, batches)
    arrays = batches.arrays()
    return Explanation(
        model.name,
        tuple(layers),
        tuple(a for name, a in arrays.items() if name.split(":")[0] == "x"),
        tuple(a for name, a in arrays.items() if name.split(":")[0] == "y"),
        loss,
        _loss_name(trainer),
        _optimizer_name(trainer),
        most,
    )


def _taken(trainer: Trainer, batches: Batches) -> tuple[float, list[LayerStep]]:
    """Return the loss and the layers of a step that stores nothing."""
    lent = without_metrics(trainer)
    moves = not isinstance(trainer.optimizer, LBFGS)
    if not moves:
        lent.optimizer = Watcher()
    layout = layout_of("train", len(batches), batches)
    with numbering_outputs() as numbers:
        traced = trace(lent, layout)
    loss = loss_of(traced)
    found = places(loss, traced.prediction, len(batches), numbers)
    used = {v for place in found for v in place.weights}
    moved = [v for v in trainer.model.trainable_variables if v in used]
    slopes = dict(zip(moved, gradient(loss, moved), strict=True))
    new = {v: value for v, value in traced.assigns if v in slopes} if moves else {}
    values = [loss, *slopes.values(), *new.values(), *(v for p in found for v in p.values())]
    arrays = _computed(traced, values, batches, layout)
    known: dict[str, Layer] = {"": trainer.model, **layers_of(trainer.model)}
    more = more_of(loss, traced.prediction)
    steps = {
        v: WeightStep(v.name, v.numpy(), arrays[g], _moved(v, new.get(v), arrays), more[v])
        for v, g in slopes.items()
    }
    linear = {p.path for p in found if p.sums is None or not p.inside}
    layers = [_step(p, arrays, steps, known, linear) for p in found]
    return float(arrays[loss]), layers


def _computed(
    traced: Traced, values: Sequence[Value], batches: Batches, layout: Any
) -> dict[Value, Array]:
    wanted = list(dict.fromkeys(values))
    traced.assigns = []
    step = load(layout, traced, wanted)
    try:
        step.run(batches, 0, 1)
    except Fault as fault:
        raise mistake(fault, batches, np.arange(len(batches)), traced.classes) from None
    return {v: step.program.output(i) for i, v in enumerate(wanted)}


def _moved(variable: Variable, new: Value | None, arrays: dict[Value, Array]) -> Array | None:
    if new is None:
        return None
    moved: Array = arrays[new].astype("float64") - variable.value
    return moved


def _step(
    place: Place,
    arrays: dict[Value, Array],
    steps: dict[Variable, WeightStep],
    known: dict[str, Layer],
    linear: set[Path],
) -> LayerStep:
    def array(value: Value | None) -> Array | None:
        return None if value is None else arrays[value]

    name = layer_name(place.path)
    layer = known.get(name)
    number = f" [{place.number}]" if place.number else ""
    return LayerStep(
        (name or known[""].name) + number,
        "" if layer is None else type(layer).__name__,
        (str(place.path[-1]) if place.path else known[""].label) + number,
        _activation(place, layer),
        array(place.sums),
        arrays[place.output],
        array(place.slope),
        array(place.error),
        array(place.delta),
        tuple(step for v, step in steps.items() if among(v, place.weights)),
        place.inside,
        _source(place, known, linear),
        place.past,
    )


def _activation(place: Place, layer: Layer | None) -> str:
    """Return the name of the function from sums to output, as the layer was given it."""
    named = str(getattr(getattr(layer, "activation", None), "__name__", ""))
    if place.sums is None:
        return ""
    if named and named != "linear":
        return named
    return place.activation if hasattr(activations, place.activation) else ""


def _source(place: Place, known: dict[str, Layer], linear: set[Path]) -> str:
    """Return in words where the error signal of a layer comes from."""
    names = [layer_name(path) or "the loss" for path in place.readers]
    if len(names) == 1 and type(known.get(names[0])).__name__ == "Dense":
        return f"{'∂L/∂a' if place.readers[0] in linear else 'δ'}·Wᵀ of {names[0]}"
    return f"from {', '.join(names) or 'the loss'}"


def layers_of(model: Layer, within: str = "") -> dict[str, Layer]:
    """Return the layers by name, those inside others behind their names and slashes."""
    found: dict[str, Layer] = {}
    for layer in model.sublayers():
        found[within + layer.name] = layer
        found.update(layers_of(layer, f"{within}{layer.name}/"))
    return found


def _loss_name(trainer: Trainer) -> str:
    losses: list[Any] = [how.loss for how in trainer.outputs if how.loss is not None]
    losses = losses or [trainer.loss]
    names = [str(getattr(loss, "name", "compute_loss")) for loss in losses]
    return " + ".join(names)


def _optimizer_name(trainer: Trainer) -> str:
    rate: Any = getattr(trainer.optimizer, "learning_rate", None)
    name = type(trainer.optimizer).__name__
    return f"{name}, rate {float(rate):.4g}" if isinstance(rate, Variable) else name
