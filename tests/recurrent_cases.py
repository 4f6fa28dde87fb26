"""Random recurrent layers with inputs, weights, states and masks, and what they give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.executors import run
from chainrule.graph import constant, gradient, scope

KINDS = ("LSTM", "GRU", "SimpleRNN")
STATES = {"LSTM": 2, "GRU": 1, "SimpleRNN": 1}
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}
MODES = ("concat", "sum", "mul", "ave", None)
Arrays = list[np.ndarray]


@dataclass
class Case:
    """A layer and what it is called with."""

    kind: str
    units: int
    options: dict[str, Any]
    x: np.ndarray
    states: Arrays = field(default_factory=list)
    mask: np.ndarray | None = None
    both_ways: bool = False
    mode: str | None = "concat"
    training: bool = False

    def made(self, of: Any) -> Any:
        """The layer, of this package's layers or Keras's."""
        layer = getattr(of, self.kind)(self.units, **self.options)
        return of.Bidirectional(layer, merge_mode=self.mode) if self.both_ways else layer

    def given(self) -> dict[str, Any]:
        """The arguments besides x."""
        found: dict[str, Any] = {"initial_state": self.states} if self.states else {}
        return found if self.mask is None else {**found, "mask": self.mask}


def drawn(seed: int, plain: bool = False) -> Case:
    """A random case; a plain one is what PyTorch has too."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % 3]
    n, k, units = (int(v) for v in rng.integers(1, 5, 3))
    t = int(rng.integers(1, 7))
    options: dict[str, Any] = {
        "return_sequences": bool(rng.integers(2)),
        "return_state": bool(rng.integers(2)),
        "go_backwards": bool(rng.integers(2)),
    }
    both_ways = not plain and rng.random() < 0.35
    if not plain:
        options |= _further(kind, rng)
    if both_ways:
        options["go_backwards"] = False
    count = STATES[kind] * (2 if both_ways else 1)
    x = rng.standard_normal((n, t, k)).astype("float32")
    states = [rng.standard_normal((n, units)).astype("float32") for _ in range(count)]
    mask = rng.random((n, t)) < rng.random()
    return Case(
        kind,
        units,
        options,
        x,
        states if rng.random() < 0.5 else [],
        mask if not plain and rng.random() < 0.6 else None,
        both_ways,
        MODES[rng.integers(len(MODES))],
    )


def _further(kind: str, rng: Any) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "use_bias": bool(rng.random() < 0.8),
        "zero_output_for_mask": bool(rng.random() < 0.3),
    }
    if rng.random() < 0.4:
        chosen["activation"] = str(rng.choice(["relu", "linear", "sigmoid", "softplus", "elu"]))
    if kind != "SimpleRNN" and rng.random() < 0.3:
        chosen["recurrent_activation"] = str(rng.choice(["hard_sigmoid", "tanh", "relu"]))
    if kind == "GRU":
        chosen["reset_after"] = bool(rng.integers(2))
    return chosen


def weights_for(layer: Any, seed: int) -> Arrays:
    """Random weights of a layer that is built."""
    rng = np.random.default_rng(seed)
    return [0.6 * rng.standard_normal(v.shape).astype("float32") for v in layer.get_weights()]


def cotangents(outputs: Arrays, seed: int) -> Arrays:
    """What the outputs are weighed by in the sum that is differentiated."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(y.shape).astype("float32") for y in outputs]


def ours(
    layer: Any, case: Case, seed: int, weights: Arrays | None = None, executor: str = "native"
) -> tuple[Arrays, Arrays, Arrays]:
    """The outputs, the gradients by x, states and weights, and the weights."""
    x, states = constant(case.x), [constant(s) for s in case.states]
    named: dict[str, Any] = {"initial_state": states} if states else {}
    if case.mask is not None:
        named["mask"] = constant(case.mask)
    layer.build_for((None, *case.x.shape[1:]))
    held = weights_for(layer, seed) if weights is None else weights
    layer.set_weights(held)
    with scope.tracing(constant(np.array([5, 1])) if case.training else None, case.training):
        found = layer(x, **named)
    outputs = list(found) if isinstance(found, list) else [found]
    weighed = cotangents([np.zeros(y.shape) for y in outputs], seed)
    total = ops.sum(ops.stack([ops.sum(y * g) for y, g in zip(outputs, weighed, strict=True)]))
    wrt = [x, *states, *(v.leaf for v in layer.variables)]
    slopes = [
        ops.zeros(v.shape, v.dtype) if g is None else g
        for v, g in zip(wrt, gradient(total, wrt), strict=True)
    ]
    values = run([*outputs, *slopes], executor)
    return values[: len(outputs)], values[len(outputs) :], held


def close(found: Arrays, wanted: Arrays, told: Any) -> None:
    """Fail where arrays differ by more than rounding."""
    assert len(found) == len(wanted), told
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape, told
        scale = 1.0 + (np.abs(b).max() if b.size else 0.0)
        np.testing.assert_allclose(a / scale, b / scale, atol=3e-5, err_msg=str(told))
