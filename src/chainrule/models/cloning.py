"""Models like others, with weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.errors import ArgumentError
from chainrule.graph.symbol import Symbol, filled, leaves
from chainrule.layers import InputLayer, Layer
from chainrule.models.functional import Functional
from chainrule.models.model import Model
from chainrule.models.sequential import Sequential
from chainrule.named import remembering


@remembering()
def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
) -> Any:
    """Return a model of the same layers with new weights, which begin as their initializers say.

    Parameters
    ----------
    model : Model
        A graph, a `Sequential`, or of a class of your own that has a `get_config`.
    input_tensors : Symbol, or list or dict of them, optional
        What the new graph begins with, in place of inputs like the model's.
    clone_function : callable, optional
        Takes a layer and returns that which stands in its place, for graphs and `Sequential`.

    Raises
    ------
    ArgumentError
        For `input_tensors` or a `clone_function` where the model is of a class of your own.

    Examples
    --------
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential, clone_model
    >>> model = Sequential([Input((4,)), Dense(3)])
    >>> clone_model(model).count_params()
    15
    """
    copy = clone_function or _copy
    if isinstance(model, Sequential) and input_tensors is None:
        return _stack(model, copy)
    if isinstance(model, Functional) and model._made is None:
        return _graph(model, input_tensors, copy)
    if input_tensors is not None or clone_function is not None:
        raise ArgumentError(
            f"{model.label} is of a class of your own: it is cloned without input_tensors or a "
            "clone_function"
        )
    return type(model).from_config(model.get_config())


def _copy(layer: Layer) -> Layer:
    return clone_model(layer) if isinstance(layer, Model) else layer.from_config(layer.get_config())


def _stack(model: Sequential, copy: Callable[[Layer], Layer]) -> Sequential:
    made = Sequential([copy(layer) for layer in model.layers], name=model.name)
    if model.built and not made.built:
        made.build(model.input_shape)
    made.recompute = model.recompute
    return made


def _graph(model: Functional, given: Any, copy: Callable[[Layer], Layer]) -> Functional:
    """Return the graph with each layer copied once, called as often as before."""
    copies = {id(call.layer): call.layer for call in model.calls}
    copies = {key: copy(layer) for key, layer in copies.items()}
    starts = [_entry(e) for e in model.entries] if given is None else list(leaves(given))
    if len(starts) != len(model.inputs):
        raise ArgumentError(f"input_tensors are {len(starts)}, the model has {len(model.inputs)}")
    found: dict[int, Any] = {id(s): t for s, t in zip(model.inputs, starts, strict=True)}
    for call in model.calls:
        parts = (found[id(s)] for s in call.inputs())
        made = leaves(call.again(parts, call.training, copies[id(call.layer)]))
        found |= {id(s): t for s, t in zip(call.outputs, made, strict=True)}
    ins = filled(model.input, (found[id(s)] for s in model.inputs))
    outs = filled(model.output, (found[id(s)] for s in model.outputs))
    made_again = type(model)(ins, outs, name=model.name)
    made_again.recompute = model.recompute
    return made_again


def _entry(layer: InputLayer) -> Symbol:
    return InputLayer(**layer.get_config()).symbol()
