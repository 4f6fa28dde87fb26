"""Passes around convolutions and pooling: where they apply, and that results stay the same."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.executors import run, set_num_threads
from chainrule.graph import Value, Variable, gradient, ordered, placeholder, registry
from chainrule.graph.primitive import run_body
from chainrule.ops.conv import out_space, swapped
from chainrule.plan import make_plan
from chainrule.plan.conv_passes import (
    fuse_conv,
    fuse_conv_pool,
    scatter_few_channels,
    split_kernel_gradients,
    widen_few_filters,
)
from chainrule.plan.pool_passes import (
    rectify_places,
    relu_after_pool,
    sum_before_spreading,
    sum_bias_with_kernel,
)
from chainrule.plan.verify import verify_graph
from conv_passes import AROUND

Pass = Callable[[list[Value]], list[Value]]
Shape = tuple[int, ...]
GRAPHS = int(os.environ.get("CHAINRULE_RANDOM_GRAPHS", "30"))
PAIRS = {"window": (2, 2), "strides": (2, 2), "padding": (0, 0, 0, 0)}


def leaf(*shape: int, seed: int = 0, dtype: str = "float64") -> Value:
    """Small whole numbers: many are equal, some 0, and sums of their products are exact."""
    numbers = np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)
    return Variable(numbers, dtype=dtype).leaf


def call(name: str, *arguments: Value, **attributes: Any) -> Any:
    return registry()[name].apply(arguments, attributes)


def form(rank: int = 2, **other: Any) -> dict[str, Any]:
    """A convolution without strides, padding or dilation, but for what is given."""
    plain = {"strides": (1,) * rank, "padding": (0,) * 2 * rank, "dilation": (1,) * rank}
    return {**plain, "groups": 1, **other}


def names(values: Sequence[Value]) -> list[str]:
    return [node.op.name for node in ordered(values)]


def evaluated(values: Sequence[Value]) -> list[np.ndarray]:
    """Return the values by the bodies of their operations, without any pass."""
    known: dict[Value, np.ndarray] = {}

    def of(a: Value) -> np.ndarray:
        return known[a] if a in known else a.numpy()

    for node in ordered(values):
        results = run_body(node.op, [of(a) for a in node.arguments], dict(node.attributes))
        known.update(zip(node.outputs, results, strict=True))
    return [of(v) for v in values]


def applied(one: Pass, values: list[Value], exact: bool = True) -> list[Value]:
    """Return the values after a pass, having seen that they are the same."""
    changed = one(list(values))
    verify_graph(changed, one.__name__)
    for a, b in zip(evaluated(values), evaluated(changed), strict=True):
        if exact:
            np.testing.assert_array_equal(b, a)
        else:
            np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-10)
    return changed


def with_slopes(y: Value, leaves: list[Value]) -> list[Value]:
    """A value with the gradients of a combination of its elements."""
    return [y, *gradient(ops.sum(ops.multiply(y, leaf(*y.shape, seed=9))), leaves)]


# relu_after_pool


def pooled(x: Value, form: dict[str, Any]) -> tuple[Value, Value, Value]:
    z = call("relu", x)
    y, place = call("max_pool", z, **form)
    return z, y, place


@pytest.mark.parametrize(
    "form",
    [
        PAIRS,
        {"window": (3, 3), "strides": (2, 1), "padding": (1, 1, 0, 2)},
        {"window": (2, 3), "strides": (1, 1), "padding": (0, 0, 0, 0)},
        {"window": (1, 2), "strides": (3, 3), "padding": (0, 0, 1, 0)},
    ],
)
@pytest.mark.parametrize("special", [False, True])
def test_a_relu_moves_behind_its_pool(form: dict[str, Any], special: bool) -> None:
    numbers = np.random.default_rng(0).integers(-2, 2, (2, 7, 6, 3)).astype("float64")
    if special:
        numbers[0, 2, 2:4, 0], numbers[1, 3, 3], numbers[0, 5] = np.nan, np.inf, -np.inf
        numbers[numbers == 0] = -0.0
    x = Variable(numbers, dtype="float64").leaf
    _, y, _ = pooled(x, form)
    values = with_slopes(y, [x])
    changed = applied(relu_after_pool, values)
    found = names(changed)
    assert found.index("max_pool") < found.index("relu")
    assert found.index("relu_gradient") < found.index("max_pool_gradient")
    assert sorted(found) == sorted(names(values))
    assert "relu" in names(applied(relu_after_pool, [y]))


def test_a_relu_stays_where_others_need_it() -> None:
    x = leaf(2, 6, 6, 2)
    z, y, place = pooled(x, PAIRS)
    slope = gradient(ops.sum(ops.square(y)), [x])[0]
    other = gradient(ops.sum(ops.square(y)) + ops.sum(ops.tanh(z)), [x])[0]
    twice = call("max_pool", z, window=(3, 3), strides=(3, 3), padding=(0, 0, 0, 0))[0]
    taken = call("max_pool_take", leaf(2, 6, 6, 2, seed=1), place, **PAIRS)
    for values in ([y, z], [y, ops.tanh(z)], [y, place], [y, slope, place], [other, y]):
        assert names(applied(relu_after_pool, values)) == names(values)
    for values in ([y, twice], [y, taken], [slope, taken]):
        assert names(applied(relu_after_pool, values)) == names(values)
    # A second derivative reads at the places too.
    second = gradient(ops.sum(ops.square(slope)), [x])[0]
    applied(relu_after_pool, [y, slope, second])


def test_the_spread_gradient_may_be_wanted() -> None:
    x = leaf(2, 6, 6, 2)
    z, y, place = pooled(x, PAIRS)
    spread = call("max_pool_gradient", leaf(2, 3, 3, 2, seed=1), place, size=(6, 6), **PAIRS)
    slope = call("relu_gradient", spread, z)
    alone = call("relu_gradient", leaf(2, 6, 6, 2, seed=3), z)
    for values in ([y, spread, slope], [y, slope, ops.tanh(spread)], [y, slope, alone]):
        assert names(applied(relu_after_pool, values)) == names(values)
    assert names(applied(relu_after_pool, [y, slope])) != names([y, slope])


# sum_before_spreading


@pytest.mark.parametrize(("axes", "moves"), [((0, 1, 2), True), ((1, 2), True), ((0, 1), False)])
def test_a_sum_comes_before_spreading(axes: Shape, moves: bool) -> None:
    y, place = call("max_pool", leaf(2, 7, 6, 3), **{**PAIRS, "strides": (1, 2)})
    spread = call("max_pool_gradient", y, place, size=(7, 6), **{**PAIRS, "strides": (1, 2)})
    changed = applied(sum_before_spreading, [call("reduce_sum", spread, axes=axes)])
    assert ("max_pool_gradient" not in names(changed)) == moves


# fuse_conv


def convolved(m: int = 17, c: int = 2, **more: Any) -> Value:
    """Whole numbers, so that the convolution is exact."""
    attributes = form(**more)
    return call("conv", leaf(2, 6, 8, c), leaf(3, 3, c // attributes["groups"], m), **attributes)


def biased(y: Value, axis: int = 3) -> Value:
    return call("broadcast", leaf(y.shape[axis], seed=2), shape=y.shape, axes=(axis,))


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("first", [False, True])
def test_a_convolution_takes_its_bias_and_activation(activation: str, first: bool) -> None:
    y = convolved(padding=(1, 0, 2, 1), strides=(1, 2))
    b = biased(y)
    z = call("add", b, y) if first else call("add", y, b)
    if activation != "linear":
        z = call(activation, z)
    changed = applied(fuse_conv, [z])
    assert names(changed) == ["conv_bias"]
    assert changed[0].node is not None
    assert changed[0].node.attributes["activation"] == activation


def test_a_convolution_that_others_read_stays() -> None:
    y = convolved()
    z = call("add", y, biased(y))
    r = call("relu", z)
    assert "conv" in names(applied(fuse_conv, [z, y]))
    assert "conv" in names(applied(fuse_conv, [z, ops.tanh(y)]))
    assert names(applied(fuse_conv, [r, z])) == ["conv_bias", "relu"]
    assert names(applied(fuse_conv, [call("add", y, y)])) == ["conv", "add"]
    across = call("add", y, biased(y, axis=2))
    assert "conv" in names(applied(fuse_conv, [across]))
    assert names(applied(fuse_conv, [call("exp", z)])) == ["conv_bias", "exp"]
    twice = call("tanh", r)
    assert names(applied(fuse_conv, [twice])) == ["conv_bias", "tanh"]


# fuse_conv_pool


def block(
    m: int = 17, c: int = 4, pool: dict[str, Any] | None = None, **more: Any
) -> tuple[Value, list[Value]]:
    """A convolution of whole numbers with bias, relu and pooling; its value and leaves."""
    attributes = form(**more)
    x, b = leaf(2, 16, 15, c), leaf(m, seed=2)
    w = leaf(3, 3, c // attributes["groups"], m, seed=1)
    z = call("conv", x, w, **attributes)
    z = call("add", z, call("broadcast", b, shape=z.shape, axes=(3,)))
    y, _ = call("max_pool", call("relu", z), **(pool or PAIRS))
    return y, [x, w, b]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"padding": (1, 1, 1, 1)},
        {"strides": (2, 1), "padding": (2, 0, 0, 1)},
        {"dilation": (2, 1), "padding": (1, 1, 0, 0)},
        {"m": 20, "groups": 2},
        {"m": 16, "pool": {"window": (3, 2), "strides": (2, 1), "padding": (1, 1, 0, 1)}},
        {"m": 32, "pool": {"window": (2, 2), "strides": (3, 3), "padding": (0, 0, 0, 0)}},
    ],
)
def test_a_convolution_is_joined_with_its_pool(more: dict[str, Any]) -> None:
    y, (_, *weights) = block(**more)
    apart = {"conv", "conv_bias", "max_pool", "max_pool_gradient", "conv_transpose"}
    found = joined(with_slopes(y, weights))
    assert {"conv_pool", "unpooled_kernel_gradients"} <= found and not apart & found
    y, leaves = block(c=48, **more)
    found = joined(with_slopes(y, leaves))
    whole = {"conv_pool", "unpooled_kernel_gradients", "unpooled_conv_transpose"}
    assert whole <= found and not apart & found


def joined(values: list[Value]) -> set[str]:
    for one in AROUND[: AROUND.index(rectify_places)]:
        values = applied(one, values)
    return set(names(values))


def test_a_derivative_that_is_scattered_is_not_joined() -> None:
    y, leaves = block(c=3)
    assert {"conv_pool", "max_pool_gradient"} <= joined(with_slopes(y, leaves))


def test_a_convolution_and_a_pool_that_others_read_stay() -> None:
    few, _ = block(m=3, padding=(0, 0, 1, 1))
    assert "max_pool" in names(fuse_conv_pool(fuse_conv([few])))
    y, leaves = block()
    values = fuse_conv([*with_slopes(y, leaves)])
    spread = [n.outputs[0] for n in ordered(values) if n.op.name == "max_pool_gradient"]
    relu = next(n for n in ordered(values) if n.op.name == "max_pool").arguments[0]
    assert "max_pool" in names(applied(fuse_conv_pool, [*values, relu]))
    # Without `relu_after_pool` the derivative of the relu lies between.
    assert "max_pool_gradient" in names(applied(fuse_conv_pool, values))
    values = fuse_conv(relu_after_pool(with_slopes(y, leaves)))
    spread = [n.outputs[0] for n in ordered(values) if n.op.name == "max_pool_gradient"]
    assert "max_pool_gradient" in names(applied(fuse_conv_pool, [*values, *spread]))
    assert "max_pool_gradient" in names(applied(fuse_conv_pool, [*values, ops.tanh(spread[0])]))


def test_slopes_that_are_an_image_or_a_kernel_are_not_joined() -> None:
    """What a pool spreads may stand on the other side of a convolution's derivative."""
    _, place = call("max_pool", leaf(2, 6, 6, 16), **PAIRS)
    spread = call("max_pool_gradient", leaf(2, 3, 3, 16, seed=1), place, size=(6, 6), **PAIRS)
    g = leaf(2, 4, 4, 16, seed=2)
    slope = call("conv_kernel_gradient", spread, g, kernel=(3, 3), **form())
    both = call("conv_kernel_gradient", spread, spread, kernel=(1, 1), **form())
    for value in (slope, both):
        assert names(applied(fuse_conv_pool, [value])) == names([value])


# rectify_places


def before_rectifying(m: int = 17, c: int = 48, **more: Any) -> list[Value]:
    """A block with its gradients, as far as the passes before take it."""
    values = with_slopes(*block(m, c, **more))
    for one in AROUND[: AROUND.index(rectify_places)]:
        values = one(values)
    return values


@pytest.mark.parametrize(
    "more",
    [{}, {"strides": (2, 1)}, {"pool": {"window": (3, 2), "strides": (2, 1), "padding": (0,) * 4}}],
)
def test_derivatives_heed_a_relu_by_its_places(more: dict[str, Any]) -> None:
    values = before_rectifying(**more)
    assert {"relu", "relu_gradient"} <= {*names(values)}
    changed = applied(rectify_places, values)
    assert not {"relu", "relu_gradient"} & {*names(changed)}
    assert "pooled_bias_gradient" in names(changed)
    place = next(n for n in ordered(changed) if n.op.name == "conv_pool").outputs[1]
    assert (evaluated([place])[0] == np.prod(more.get("pool", PAIRS)["window"])).any()
    # Spread by an operation of its own, as where the derivative is scattered.
    changed = applied(rectify_places, before_rectifying(c=3, **more))
    assert not {"relu", "relu_gradient"} & {*names(changed)}


def test_sums_of_slopes_over_other_axes_stay() -> None:
    for axes in ((3,), (1,), (0, 1, 2, 3)):
        values = before_rectifying()
        cleared = next(n for n in ordered(values) if n.op.name == "relu_gradient").outputs[0]
        changed = applied(rectify_places, [*values, call("reduce_sum", cleared, axes=axes)])
        assert "relu" not in names(changed) and names(changed).count("reduce_sum") > 1


def test_a_relu_whose_places_others_follow_stays() -> None:
    values = before_rectifying()
    pool = next(n for n in ordered(values) if n.op.name == "conv_pool")
    z, place = pool.outputs
    slopes = leaf(*z.shape, seed=5)
    spread = call("max_pool_gradient", slopes, place, size=(14, 13), **PAIRS)
    others = [z, place, ops.tanh(z), spread, call("relu_gradient", slopes, z)]
    for other in others:
        assert "relu" in names(applied(rectify_places, [*values, other]))
    # Slopes that another relu has cleared.
    again = call("relu_gradient", slopes, leaf(*z.shape, seed=6))
    spread = call("max_pool_gradient", again, place, size=(14, 13), **PAIRS)
    assert "relu" in names(applied(rectify_places, [*values, spread]))


# sum_bias_with_kernel


def rectified(m: int = 17, c: int = 48, **more: Any) -> list[Value]:
    return rectify_places(before_rectifying(m, c, **more))


@pytest.mark.parametrize("m", [16, 33])
def test_slopes_of_a_bias_are_summed_with_those_of_the_kernel(m: int) -> None:
    values = rectified(m)
    assert {"pooled_bias_gradient", "unpooled_kernel_gradients"} <= {*names(values)}
    changed = applied(sum_bias_with_kernel, values)
    assert "pooled_bias_gradient" not in names(changed)
    (kernel,) = (n for n in ordered(changed) if n.op.name == "unpooled_kernel_gradients")
    assert [y.ndim for y in kernel.outputs] == [3, 2]


def test_sums_of_a_bias_that_others_read_stay() -> None:
    values = rectified()
    (node,) = (n for n in ordered(values) if n.op.name == "pooled_bias_gradient")
    (sums,) = node.outputs
    for other in (sums, ops.tanh(sums), call("reduce_sum", sums, axes=(1,))):
        assert "pooled_bias_gradient" in names(applied(sum_bias_with_kernel, [*values, other]))
    # Without a derivative of the kernel beside them.
    for alone in (rectified(c=3), [call("reduce_sum", sums, axes=(0,))]):
        assert "pooled_bias_gradient" in names(applied(sum_bias_with_kernel, alone))


def test_a_window_whose_type_has_no_number_for_no_place_stays() -> None:
    y, _ = block(pool={"window": (16, 16), "strides": (1, 1), "padding": (8, 7, 8, 7)})
    values = fuse_conv_pool(fuse_conv(relu_after_pool([y])))
    assert names(applied(rectify_places, values)) == names(values) == ["conv_pool", "relu"]


# widen_few_filters


def wide(k: Shape, m: int, size: Shape, c: int = 3, **more: Any) -> list[Value]:
    """A convolution, one with a bias, and the gradient of a kernel."""
    attributes = form(len(k), **more)
    x, w = leaf(2, *size, c), leaf(*k, c // attributes["groups"], m, seed=1)
    y = call("conv", x, w, **attributes)
    z = call("conv_bias", x, w, leaf(m, seed=2), activation="relu", **attributes)
    slope = call("conv_kernel_gradient", x, leaf(*y.shape, seed=3), kernel=k, **attributes)
    return [y, z, slope]


@pytest.mark.parametrize(
    ("k", "m", "size", "more"),
    [
        ((3, 3), 1, (5, 10), {}),
        ((5, 5), 6, (8, 12), {}),
        ((3, 3), 8, (6, 10), {"padding": (1, 1, 1, 1)}),
        ((3, 3), 3, (7, 7), {}),  # five places
        ((3, 4), 5, (6, 17), {"strides": (2, 2), "padding": (0, 1, 2, 1)}),
        ((2, 5), 2, (6, 21), {"strides": (1, 3), "padding": (1, 0, 0, 2)}),
        ((2, 3), 4, (7, 10), {"dilation": (3, 1)}),
        ((1, 7), 1, (3, 20), {"padding": (0, 0, 9, 7)}),
        ((5,), 3, (20,), {}),
        ((2, 1, 3), 4, (4, 3, 10), {}),
    ],
)
def test_few_filters_are_widened(k: Shape, m: int, size: Shape, more: dict[str, Any]) -> None:
    values = wide(k, m, size, **more)
    for value in values:
        changed = applied(widen_few_filters, [value])
        assert names(changed) != names([value])
        kernel = next(n for n in ordered(changed) if n.op.name.startswith("conv"))
        strides = kernel.attributes["strides"]
        assert strides[-1] > form(len(k), **more)["strides"][-1]
    applied(widen_few_filters, values)


@pytest.mark.parametrize(
    ("k", "m", "size", "more"),
    [
        ((3, 3), 16, (5, 10), {}),  # enough filters
        ((3, 3), 40, (5, 10), {}),
        ((3, 3), 15, (5, 10), {}),  # no gain
        ((3, 1), 3, (5, 10), {"strides": (1, 3)}),  # kernels that do not overlap
        ((3, 3), 3, (5, 19), {}),  # seventeen places
        ((3, 3), 3, (5, 10), {"dilation": (1, 2)}),
        ((3, 3), 3, (5, 10), {"groups": 3}),
        ((3, 3), 0, (5, 10), {}),
    ],
)
def test_filters_that_are_not_widened(k: Shape, m: int, size: Shape, more: dict[str, Any]) -> None:
    values = wide(k, m, size, **more)
    assert names(applied(widen_few_filters, values)) == names(values)


# scatter_few_channels


def turned(c: int, m: int, size: Shape, k: Shape, **more: Any) -> Value:
    attributes = form(len(k), **more)
    out = out_space(size, k, *(attributes[n] for n in ("strides", "padding", "dilation")))
    groups = attributes["groups"]
    kernel = swapped(leaf(*k, c // groups, m, seed=1), groups)
    return call("conv_transpose", leaf(2, *out, m), kernel, size=size, **attributes)


@pytest.mark.parametrize(
    ("c", "m", "size", "k", "more"),
    [
        (1, 16, (8, 9), (5, 5), {}),
        (3, 20, (7, 8), (3, 3), {"padding": (1, 1, 1, 1)}),
        (3, 33, (7, 8), (3, 4), {"dilation": (2, 1)}),
        (2, 16, (11,), (5,), {"padding": (0, 3)}),
        (1, 17, (4, 5, 6), (2, 2, 3), {}),
    ],
)
def test_few_channels_are_scattered(
    c: int, m: int, size: Shape, k: Shape, more: dict[str, Any]
) -> None:
    value = turned(c, m, size, k, **more)
    assert "conv_scatter" in names(applied(scatter_few_channels, [value]))


@pytest.mark.parametrize(
    ("c", "m", "k", "more"),
    [
        (16, 16, (3, 3), {}),
        (64, 8, (3, 3), {}),
        (2, 16, (3, 1), {}),
        (2, 16, (3, 3), {"dilation": (1, 2)}),
        (2, 16, (3, 3), {"groups": 2}),
        (0, 16, (3, 3), {}),
        (2, 0, (3, 3), {}),
        (2, 16, (9, 29), {}),  # no place of the output
    ],
)
def test_channels_that_are_not_scattered(c: int, m: int, k: Shape, more: dict[str, Any]) -> None:
    value = turned(c, m, (20, 21), k, **more)
    assert "conv_scatter" not in names(applied(scatter_few_channels, [value]))


# split_kernel_gradients


@pytest.mark.parametrize(
    ("n", "c", "m", "parts"),
    [
        *((1, 2, 3, 0), (2, 2, 3, 2), (15, 2, 3, 15), (16, 2, 3, 16), (17, 2, 3, 9)),
        *((40, 2, 3, 14), (32, 2, 3, 16), (0, 2, 3, 0), (4, 0, 3, 0), (4, 2, 0, 0)),
        *((24, 128, 128, 8), (7, 128, 128, 7)),  # a large kernel
    ],
)
def test_gradients_of_kernels_are_sums_of_parts(n: int, c: int, m: int, parts: int) -> None:
    x, g = leaf(n, 3, 2, c), leaf(n, 3, 2, m, seed=1)
    value = call("conv_kernel_gradient", x, g, kernel=(1, 1), **form())
    changed = applied(split_kernel_gradients, [value])
    cut = [n for n in ordered(changed) if n.op.name == "partial_kernel_gradients"]
    assert [n.attributes["parts"] for n in cut] == ([parts] if parts else [])


# All of them.


def random_images(rng: np.random.Generator, bends: Sequence[str]) -> list[Value]:
    """Values and gradients of a random graph of convolutions, pools and what stands around."""
    seeds = itertools.count(int(rng.integers(1000)))
    c = int(rng.integers(1, 4))
    images = [leaf(2, int(rng.integers(6, 10)), int(rng.integers(6, 11)), c, seed=next(seeds))]
    leaves, seen = list(images), []
    for _ in range(int(rng.integers(2, 6))):
        x = images[int(rng.integers(len(images)))]
        _, h, w, c = x.shape
        kind = str(rng.choice(["conv", "conv", "pool", *bends, "add"]))
        if kind == "conv" and min(h, w) > 2:
            m = int(rng.choice([1, 3, 6, 16, 17]))
            k = tuple(int(v) for v in rng.integers(1, 4, 2))
            padding = tuple(int(v) for v in rng.integers(0, 2, 4))
            kernel, bias = leaf(*k, c, m, seed=next(seeds)), leaf(m, seed=next(seeds))
            strides = (1, int(rng.integers(1, 3)))
            y = call("conv", x, kernel, **form(padding=padding, strides=strides))
            y = call("add", y, call("broadcast", bias, shape=y.shape, axes=(3,)))
            leaves += [kernel, bias]
        elif kind == "pool" and min(h, w) > 2:
            window = (2, 2) if rng.random() < 0.6 else (3, 2)
            strides = (2, 2) if rng.random() < 0.6 else (1, 2)
            pool = {"window": window, "strides": strides, "padding": (0, 0, 0, 0)}
            y, place = call("max_pool", x, **pool)
            if rng.random() < 0.1:
                seen.append(place)
        elif kind in ("relu", "tanh", "sigmoid"):
            y = call(kind, x)
        else:
            y = call("add", x, x) if rng.random() < 0.3 else call("relu", x)
        images.append(y)
    picked = [images[-1], images[int(rng.integers(len(images)))]]
    loss = ops.sum(ops.multiply(images[-1], leaf(*images[-1].shape, seed=next(seeds))))
    if rng.random() < 0.3:
        loss = loss + ops.sum(picked[1])
    return [*picked, *seen, *gradient(loss, leaves)]


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_random_graphs_keep_their_results(seed: int) -> None:
    """Exactly, where all numbers are whole: through each pass, through all, and in the engine."""
    rng = np.random.default_rng(seed)
    exact = seed % 2 == 0
    values = random_images(rng, ["relu"] if exact else ["relu", "tanh", "sigmoid"])
    expected = evaluated(values)
    for one in AROUND:
        applied(one, values, exact)
    changed = values
    for one in (*AROUND, *rng.permutation(np.array(AROUND, object))):
        changed = applied(one, changed, exact)
    bits = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        found = run(values)
        bits.append([a.tobytes() for a in found])
    assert bits[0] == bits[1] == bits[2]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=0 if exact else 1e-9, atol=0 if exact else 1e-9)


def test_a_plan_prints() -> None:
    x = placeholder((4, 8, 8, 3), "float32", "x")
    w = Variable(np.ones((3, 3, 3, 16), "float32"), name="w")
    b = Variable(np.zeros(16, "float32"), name="b")
    y = ops.relu(ops.conv(x, w, padding="same") + b)
    assert str(make_plan([ops.max_pool(y, 2)])) == (
        "arena 0 bytes, scratch 1,024 bytes a thread, state 1,792 bytes\n"
        "phase 0\n"
        "  loop over 4 rows, 4 at a time\n"
        "    output:float32[4, 4, 4, 16], local+0:uint8[4, 4, 4, 16] = "
        "conv_pool(x:float32[4, 8, 8, 3], w:float32[3, 3, 3, 16] whole, b:float32[16] whole; "
        "groups=1; activation=linear; rectified=True; strides=(1, 1); padding=(1, 1, 1, 1); "
        "dilation=(1, 1); window=(2, 2); pool_strides=(2, 2); pool_padding=(0, 0, 0, 0))"
    )
