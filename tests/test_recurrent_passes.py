"""Passes around recurrent layers: where they apply, and that results stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.executors import num_threads, run, set_num_threads
from chainrule.graph import Value, Variable, gradient, ordered
from chainrule.layers import GRU, LSTM, SimpleRNN
from chainrule.plan import make_plan, recurrent_passes
from chainrule.plan.recurrent_passes import (
    fuse_input_gradients,
    fuse_inputs,
    join_long_products,
    split_long_products,
)
from chainrule.plan.verify import verify_graph

AROUND = (fuse_inputs, fuse_input_gradients, join_long_products, split_long_products)
LAYERS = {"rnn": SimpleRNN, "lstm": LSTM, "gru": GRU}


def names(values: Sequence[Value]) -> list[str]:
    return [node.op.name for node in ordered(values)]


def network(kind: str, n: int, t: int, k: int = 3, m: int = 5, **options: Any) -> list[Value]:
    """A weighted sum of a layer's outputs and its gradients with respect to all it depends on."""
    rng = np.random.default_rng(3)
    x = Variable(rng.standard_normal((n, t, k)), dtype="float64")
    layer = LAYERS[kind](m, return_sequences=True, dtype="float64", **options)
    layer.build((n, t, k))
    for weight in layer.weights:
        weight.assign(rng.standard_normal(weight.shape) / 2)
    y = layer(ops.multiply(x, 1.0))
    loss = ops.sum(ops.multiply(y, rng.standard_normal(y.shape)))
    return [loss, *gradient(loss, [x, *layer.trainable_variables])]


def passed(values: list[Value], rules: Sequence[Any] = AROUND) -> list[Value]:
    """The graph as a plan has it before the passes, and after these."""
    from chainrule.plan.passes import PASSES

    for rule in PASSES[: PASSES.index(fuse_inputs)]:
        values = rule(values)
    for rule in rules:
        values = rule(values)
        verify_graph(values, rule.__name__)
    return values


def same(values: list[Value], changed: list[Value]) -> None:
    for a, b in zip(run(values, "reference"), run(changed, "reference"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", list(LAYERS))
def test_products_with_the_inputs_are_made_on_the_way(kind: str, reverse: bool) -> None:
    values = network(kind, 3, 4, go_backwards=reverse)
    changed = passed(values)
    found = names(changed)
    assert f"{kind}_layer" in found and f"{kind}_layer_gradient" in found
    assert kind not in found and f"{kind}_gradient" not in found
    same(values, changed)


def test_large_kernels_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent_passes, "_MOST", 8)
    found = names(passed(network("lstm", 3, 4)))
    assert "lstm" in found and "lstm_layer" not in found and "lstm_gradient" in found


def test_layers_without_a_bias() -> None:
    values = network("lstm", 3, 4, use_bias=False)
    changed = passed(values)
    assert "lstm_layer" in names(changed)
    same(values, changed)


@pytest.mark.parametrize("kind", list(LAYERS))
def test_long_sums_are_cut(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent_passes, "_LONG", 64)
    monkeypatch.setattr(recurrent_passes, "_PART", 4)
    values = network(kind, 16, 6)
    changed = passed(values)
    found = names(changed)
    products = [node for node in ordered(changed) if node.op.name == "batch_matmul"]
    shared = kind != "gru"  # the gates of inputs and state have cotangents of their own there
    assert len(products) == (1 if shared else 2)
    assert all(p.arguments[0].shape[0] > 1 for p in products)
    assert ("concatenate" in found) == shared
    same(values, changed)


def test_results_are_the_same_on_any_number_of_threads() -> None:
    before = num_threads()
    values = network("lstm", 40, 30, k=16, m=32)
    expected = run(values, "reference")
    bits = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        found = run(values)
        bits.append([f.tobytes() for f in found])
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    set_num_threads(before)
    assert bits[0] == bits[1] == bits[2]
    assert "lstm_layer" in make_plan(values).describe()
