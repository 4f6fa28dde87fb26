"""What reaches the first weights of a network that are trained, read off the graph."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.dtypes import is_float
from chainrule.graph import Value, ordered
from chainrule.insight.case import Case
from chainrule.insight.head_rules import leaves
from chainrule.insight.heads import layer_of
from chainrule.layers import BatchNormalization, Layer

_PRODUCTS = {"matmul", "dense", "dense_of_parts", "batch_matmul"}
_CONVOLUTIONS = {"conv", "conv_bias", "conv_pool", "conv_transpose"}
_CELLS = {"rnn_layer", "gru_layer", "lstm_layer", "rnn", "gru", "lstm"}
_MULTIPLYING = _PRODUCTS | _CONVOLUTIONS | _CELLS


@dataclass(frozen=True)
class Entry:
    """What reaches the first weights on one way: before any of the network's work on it."""

    layer: str | None
    value: Value
    normalized: bool = False  # by mean and variance of each batch, which a prediction does not use


def entries_of(case: Case) -> list[Entry]:
    """Return where numbers of the samples are first multiplied by weights that are trained."""
    if not case.traced.outputs:
        return []
    inputs = {value for name, value in case.traced.feeds.items() if name.split(":")[0] == "x"}
    norms = {layer.name for layer in leaves(case.model) if _by_batch(layer)}
    weighed: set[Value] = set()
    normalized: set[Value] = set()
    found: dict[Value, Entry] = {}
    for node in ordered(case.traced.outputs):
        weights = [a for a in node.arguments if a in weighed or _is_weight(a)]
        raw = [a for a in node.arguments if a in inputs]
        if weights and raw and node.op.name in _MULTIPLYING:
            for value in raw:
                if is_float(value.dtype):
                    found.setdefault(value, Entry(layer_of(node), value, value in normalized))
        if weights:
            weighed.update(node.outputs)
        elif raw:
            inputs.update(node.outputs)
            if not normalized.isdisjoint(raw) or (layer_of(node) or "").split("/")[-1] in norms:
                normalized.update(node.outputs)
    return list(found.values())


def _by_batch(layer: Layer) -> bool:
    return isinstance(layer, BatchNormalization) and layer.trainable


def _is_weight(value: Value) -> bool:
    variable = value.variable
    return variable is not None and variable.trainable and variable.ndim > 1
