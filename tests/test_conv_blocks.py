"""Blocks of a convolution, normalization, activation and pooling, which the plan fuses: values and
gradients of random ones are those of PyTorch in float64.

There are 2,000 where CHAINRULE_RANDOM_CASES is 2000.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from chainrule import layers, ops
from chainrule.executors import run, set_num_threads
from chainrule.graph import Variable, gradient, scope
from peers import peer

COUNT = int(os.environ.get("CHAINRULE_RANDOM_CASES", "30"))
Rng = np.random.Generator


def drawn(rng: Rng) -> dict[str, Any]:
    """A random block that has an output."""
    while True:
        block = {
            "samples": int(rng.integers(1, 9)),
            "size": tuple(int(n) for n in rng.integers(1, 15, 2)),
            "channels": int(rng.choice([1, 2, 3, 8, 17])),
            "filters": int(rng.choice([1, 3, 6, 8, 16, 20, 33])),
            "kernel": tuple(int(n) for n in rng.integers(1, 6, 2)),
            "strides": int(rng.choice([1, 1, 1, 2])),
            "padding": str(rng.choice(["valid", "same"])),
            "bias": bool(rng.random() < 0.7),
            "normalized": bool(rng.random() < 0.4),
            "activation": str(rng.choice(["linear", "relu", "tanh", "sigmoid", "elu"])),
            "pool": str(rng.choice(["max", "max", "average", "global", "none"])),
            "window": int(rng.integers(2, 4)),
            "step": int(rng.integers(1, 4)),
            "training": bool(rng.random() < 0.7),
        }
        n = [
            -(-s // block["strides"])
            if block["padding"] == "same"
            else (s - k) // block["strides"] + 1
            for s, k in zip(block["size"], block["kernel"], strict=True)
        ]
        few = min(n) < (block["window"] if block["pool"] in ("max", "average") else 1)
        # Of few numbers the variance may be next to nothing, and the normalization badly posed.
        unsure = block["normalized"] and block["samples"] * n[0] * n[1] < 8
        if not few and not unsure:
            return block


def stack(block: dict[str, Any], dtype: str) -> list[layers.Layer]:
    """The block as layers."""
    more = {"dtype": dtype}
    pools = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}
    found: list[layers.Layer] = [
        layers.Conv2D(
            block["filters"],
            block["kernel"],
            block["strides"],
            block["padding"],
            use_bias=block["bias"],
            **more,
        )
    ]
    if block["normalized"]:
        found.append(layers.BatchNormalization(**more))
    found.append(layers.Activation(block["activation"], **more))
    if block["pool"] in pools:
        found.append(pools[block["pool"]](block["window"], block["step"], **more))
    if block["pool"] == "global":
        found.append(layers.GlobalAveragePooling2D(keepdims=True, **more))
    return found


def in_torch(block: dict[str, Any], x: Any, weights: list[Any]) -> Any:
    """The block in PyTorch, of x with its channels last."""
    torch = peer("torch")
    f = torch.nn.functional
    rest = list(weights)
    kernel = rest.pop(0).permute(3, 2, 0, 1).contiguous()
    bias = rest.pop(0) if block["bias"] else None
    y = x.permute(0, 3, 1, 2).contiguous()
    if block["padding"] == "same":
        pads = []
        for size, k in list(zip(block["size"], block["kernel"], strict=True))[::-1]:
            total = max((-(-size // block["strides"]) - 1) * block["strides"] + k - size, 0)
            pads += [total // 2, total - total // 2]
        y = f.pad(y, pads)
    y = f.conv2d(y, kernel, bias, stride=block["strides"])
    if block["normalized"]:
        # By its formula: PyTorch's own has other derivatives than it for images of one column.
        gamma, beta, mean, variance = (w[:, None, None] for w in rest)
        if block["training"]:
            mean = y.mean((0, 2, 3), keepdim=True)
            variance = y.var((0, 2, 3), keepdim=True, unbiased=False)
        y = gamma * (y - mean) / torch.sqrt(variance + 1e-3) + beta
    y = {**vars(torch), "linear": lambda z: z, "elu": f.elu}[block["activation"]](y)
    if block["pool"] in ("max", "average"):
        pool = f.max_pool2d if block["pool"] == "max" else f.avg_pool2d
        y = pool(y, block["window"], block["step"])
    if block["pool"] == "global":
        y = y.mean((2, 3), keepdim=True)
    return y.permute(0, 2, 3, 1)


def check(block: dict[str, Any], seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    parts = stack(block, dtype)
    shape: Any = (block["samples"], *block["size"], block["channels"])
    exact = rng.standard_normal(shape)
    leaf = Variable(exact.astype(dtype), dtype=dtype)
    with scope.tracing(None, block["training"]):
        y = leaf.leaf
        for layer in parts:
            layer.build_for((None, *y.shape[1:]))
            layer.set_weights([rng.uniform(0.2, 1.0, w.shape) for w in layer.get_weights()])
            y = layer(y, training=block["training"])
    torch = peer("torch")
    moved = [v for layer in parts for v in layer.trainable_variables]
    given = [torch.tensor(exact, requires_grad=True)]
    weights = [
        torch.tensor(v.numpy().astype("float64")) for layer in parts for v in layer.variables
    ]
    for weight in weights[: len(moved)]:
        weight.requires_grad_()
    expected = in_torch(block, given[0], weights)
    h = rng.standard_normal(y.shape)
    slopes = torch.autograd.grad(expected, [*given, *weights[: len(moved)]], torch.tensor(h))
    found = run([y, *gradient(ops.sum(ops.multiply(y, h.astype(dtype))), [leaf, *moved])])
    tolerance = 1e-8 if dtype == "float64" else 2e-3
    for a, e in zip(found, [expected, *slopes], strict=True):
        wanted = e.detach().numpy()
        assert a.shape == wanted.shape
        scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
        np.testing.assert_allclose(a, wanted, rtol=0, atol=tolerance * scale, err_msg=str(block))


def test_random_blocks_are_those_of_torch() -> None:
    rng = np.random.default_rng(4)
    for i in range(COUNT):
        set_num_threads(1 + i % 3)
        check(drawn(rng), i, "float64" if i % 2 else "float32")
