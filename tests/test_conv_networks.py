"""Convolutional networks with the passes around convolutions and without: the same training.

Then what must change no bit at all: the number of threads, layers that are computed again, a limit
of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import layers, optimizers
from chainrule.executors import set_num_threads
from chainrule.layers import Dense, Input
from chainrule.models import Model, Sequential
from chainrule.plan import build
from conv_passes import AROUND

RNG = np.random.default_rng(0)


def lenet(again: bool = False) -> Model:
    blocks: list[list[layers.Layer]] = [
        [layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D()],
        [layers.Conv2D(16, 3), layers.MaxPooling2D(), layers.Activation("relu"), layers.Flatten()],
    ]
    return Sequential([Input((12, 14, 1)), *blocks_of(blocks, again), Dense(20, "tanh"), Dense(3)])


def wide(again: bool = False) -> Model:
    """Enough filters for a vector: convolutions are joined with their pools."""
    blocks: list[list[layers.Layer]] = [
        [layers.Conv2D(17, 3, activation="relu", padding="same"), layers.MaxPooling2D()],
        [layers.Conv2D(33, 3, padding="same", activation="relu"), layers.MaxPooling2D(3, 2)],
        [layers.Conv2D(18, 2, activation="tanh"), layers.MaxPooling2D(2, 1), layers.Flatten()],
    ]
    return Sequential([Input((19, 18, 3)), *blocks_of(blocks, again), Dense(3)])


def normalized(again: bool = False) -> Model:
    blocks: list[list[layers.Layer]] = [
        [
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
        ],
        [layers.MaxPooling2D(), layers.Conv2D(20, 3, strides=2, padding="same")],
        [layers.BatchNormalization(), layers.Activation("relu"), layers.AveragePooling2D()],
    ]
    ends = [layers.GlobalAveragePooling2D(), Dense(3)]
    return Sequential([Input((11, 12, 2)), *blocks_of(blocks, again), *ends])


def branches(again: bool = False) -> Model:
    """Values that several layers read, a layer used twice, a residual block."""
    mark = {"recompute": again}
    x = Input((9, 10, 3))
    a = layers.Conv2D(16, 3, padding="same", activation="relu", **mark)(x)
    shared = layers.Conv2D(16, 3, padding="same", **mark)
    b = layers.Activation("relu", **mark)(shared(a))
    c = layers.Add()([layers.Conv2D(16, 1)(b), shared(b), a])
    pooled = [layers.MaxPooling2D()(a), layers.MaxPooling2D()(c), layers.MaxPooling2D()(b)]
    d = layers.Concatenate(**mark)(pooled)
    e = layers.Conv2D(5, 2, activation="sigmoid", **mark)(d)
    ends = [layers.GlobalMaxPooling2D()(e), layers.Flatten()(layers.MaxPooling2D(3, 2)(b))]
    return Model(x, Dense(3)(layers.Concatenate()(ends)))


def line(again: bool = False) -> Model:
    blocks: list[list[layers.Layer]] = [
        [layers.Conv1D(32, 5, activation="relu", padding="causal"), layers.MaxPooling1D()],
        [layers.Conv1D(4, 3, strides=2, padding="same"), layers.BatchNormalization()],
        [
            layers.Activation("relu"),
            layers.Conv1D(17, 2, dilation_rate=2),
            layers.MaxPooling1D(2, 1),
        ],
    ]
    return Sequential([Input((31, 2)), *blocks_of(blocks, again), layers.Flatten(), Dense(3)])


def grouped(again: bool = False) -> Model:
    blocks: list[list[layers.Layer]] = [
        [layers.Conv2D(18, 3, activation="relu"), layers.DepthwiseConv2D(3, padding="same")],
        [
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, groups=2, padding="same"),
        ],
        [layers.Activation("relu"), layers.MaxPooling2D(), layers.SeparableConv2D(7, 2)],
    ]
    return Sequential([Input((12, 11, 2)), *blocks_of(blocks, again), layers.Flatten(), Dense(3)])


def there_and_back(again: bool = False) -> Model:
    """An encoder and a decoder; strides in both."""
    blocks: list[list[layers.Layer]] = [
        [layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")],
        [layers.Conv2D(24, 3, strides=2, activation="relu")],
        [layers.Conv2DTranspose(16, 3, strides=2, activation="relu")],
        [layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid")],
    ]
    return Sequential([Input((10, 10, 1)), *blocks_of(blocks, again), layers.Flatten(), Dense(3)])


def solid(again: bool = False) -> Model:
    blocks: list[list[layers.Layer]] = [
        [layers.Conv3D(17, 3, padding="same", activation="relu"), layers.MaxPooling3D()],
        [layers.Conv3D(3, 2), layers.BatchNormalization(), layers.Activation("relu")],
    ]
    return Sequential([Input((6, 5, 6, 2)), *blocks_of(blocks, again), layers.Flatten(), Dense(3)])


def blocks_of(blocks: list[list[layers.Layer]], again: bool) -> list[layers.Layer]:
    if again:
        return [Sequential(block, recompute=True) for block in blocks]
    return [layer for block in blocks for layer in block]


Make = Callable[..., Model]
NETWORKS: tuple[Make, ...] = (
    *(lenet, wide, normalized, branches, line, grouped, there_and_back, solid),
)


def trained(model: Model, samples: int = 22, batch: int = 8, epochs: int = 2, **more: Any) -> list:
    """All weights after some steps, and predictions; the last batch of an epoch is smaller."""
    model.compile(optimizers.SGD(0.01, momentum=0.5), "mse", **more)
    rng = np.random.default_rng(1)
    drawn = [
        rng.uniform(0.2, 0.6, v.shape)
        if v.ndim == 1
        else rng.standard_normal(v.shape) / np.sqrt(np.prod(v.shape[:-1]))
        for v in model.variables
    ]
    model.set_weights(drawn)
    x = rng.standard_normal((samples, *model.input_shape[1:])).astype("float32")
    y = rng.standard_normal((samples, 3)).astype("float32")
    history = model.fit(x, y, batch_size=batch, epochs=epochs, shuffle=False, verbose=0)
    found = [*model.get_weights(), np.array(history.history["loss"])]
    found.append(model.predict(x, batch_size=5, verbose=0))
    return [*found, np.array(model.evaluate(x, y, batch_size=7, verbose=0))]


def without(monkeypatch: pytest.MonkeyPatch, *passes: Any) -> None:
    monkeypatch.setattr(build, "PASSES", tuple(p for p in build.PASSES if p not in passes))


def calls(model: Model) -> set[str]:
    """The operations of the training step."""
    steps = model._trainer._steps.items()
    return {
        c.name
        for layout, step in steps
        if layout.kind == "train"
        for phase in step.program.plan.phases
        for loop in phase
        for c in loop.calls
    }


def close(a: list, b: list) -> None:
    for one, other in zip(a, b, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_training_is_the_same_without_the_passes(
    network: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    found = trained(model)
    single = trained(network(), samples=3, batch=1, epochs=1)
    assert calls(model) & {"partial_kernel_gradients", "unpooled_kernel_gradients"}
    without(monkeypatch, *AROUND)
    plain = network()
    close(found, trained(plain))
    close(single, trained(network(), samples=3, batch=1, epochs=1))
    new = {"conv_bias", "conv_pool", "conv_scatter", "partial_kernel_gradients"}
    assert not calls(plain) & new


@pytest.mark.parametrize("left_out", AROUND, ids=lambda f: f.__name__)
@pytest.mark.parametrize("network", [lenet, wide], ids=lambda f: f.__name__)
def test_each_pass_can_be_left_out(
    network: Make, left_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trained(network(), samples=11, epochs=1)
    without(monkeypatch, left_out)
    close(found, trained(network(), samples=11, epochs=1))


def test_the_passes_apply() -> None:
    expected = {
        lenet: {"conv_bias", "conv_scatter", "partial_kernel_gradients"},
        wide: {"conv_pool", "unpooled_kernel_gradients"},
        line: {"conv_pool", "unpooled_kernel_gradients", "unpooled_conv_transpose"},
        branches: {"conv_bias", "conv_transpose", "max_pool_gradient"},
    }
    for network, names in expected.items():
        model = network()
        trained(model, epochs=1)
        assert names <= calls(model), network.__name__


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_threads_and_recomputed_layers_change_no_bit(network: Make) -> None:
    bits = []
    for threads, again in ((1, False), (2, False), (3, True)):
        set_num_threads(threads)
        bits.append([a.tobytes() for a in trained(network(again), epochs=1)])
    assert bits[0] == bits[1] == bits[2]


@pytest.mark.parametrize("network", [lenet, wide, normalized], ids=lambda f: f.__name__)
def test_a_limit_of_memory_changes_no_bit(network: Make) -> None:
    model = network()
    expected = [a.tobytes() for a in trained(model, 40, 40)]
    before = model.memory(40)
    beside = before.total - before.buffers
    limit = beside + int(0.9 * before.buffers)
    limited = network()
    found = [a.tobytes() for a in trained(limited, 40, 40, memory_limit=limit)]
    assert limited.memory(40).total <= limit
    assert found == expected
