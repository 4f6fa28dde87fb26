"""Attention: Keras's and PyTorch's values and gradients under masks of every kind, files, plans."""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule import layers, ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.executors import run, set_num_threads
from chainrule.graph import Variable, constant, gradient, scope
from chainrule.layers import Dense, Input
from chainrule.models import Model, Sequential, load_model
from chainrule.utils import set_random_seed
from peers import peer, sharing

# Keras's variables do not know NumPy's argument `copy`; of one key it doubts the softmax.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis"),
]
COUNT = int(os.environ.get("CHAINRULE_RANDOM_CASES", "30"))
ATTENTION: list[tuple[str, dict[str, Any]]] = [
    ("Attention", {}),
    ("Attention", {"use_scale": True}),
    ("Attention", {"score_mode": "concat"}),
    ("Attention", {"score_mode": "concat", "use_scale": True}),
    ("AdditiveAttention", {}),
    ("AdditiveAttention", {"use_scale": False}),
]
SUMS = ("Attention", "AdditiveAttention")
HEADS: list[tuple[str, dict[str, Any]]] = [
    ("MultiHeadAttention", {"num_heads": 1, "key_dim": 5}),
    ("MultiHeadAttention", {"num_heads": 3, "key_dim": 2, "value_dim": 4}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "use_bias": False, "output_shape": 7}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "output_shape": (2, 3)}),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "sliding_window": 2}),
    ("MultiHeadAttention", {"num_heads": 4, "key_dim": 1, "use_gate": True}),
    ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 6, "num_key_value_heads": 2}),
    ("GroupQueryAttention", {"head_dim": 2, "num_query_heads": 3, "num_key_value_heads": 1,
                             "use_gate": True}),
    ("GroupQueryAttention", {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 2,
                             "sliding_window": 3, "use_bias": False}),
]  # fmt: skip


def sample(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


def truths(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.random(shape) < rng.choice([0.2, 0.7, 1.0])


def weights_for(layer: Any) -> list[np.ndarray]:
    return [sample(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())]


def both(name: str, arguments: dict[str, Any], shapes: list[tuple[int, ...]]) -> tuple[Any, Any]:
    """Our layer and Keras's for inputs of these shapes, with the same weights."""
    pair = [getattr(of.layers, name)(**arguments) for of in (chainrule, peer("keras"))]
    if name in SUMS:
        pair[0].build_for(shapes)
        pair[1].build(shapes)
    else:
        named = dict(zip(("query_shape", "value_shape", "key_shape"), shapes, strict=False))
        pair[0].build_for(**named)
        pair[1].build(**named)
    return sharing(*pair, weights_for(pair[0]))


def found_here(layer: Any, arrays: list[np.ndarray], slope: Any, **options: Any) -> list[Any]:
    """Sums and weights, and gradients by inputs and weights for the cotangent of the sums."""
    given = [Variable(a, dtype=layer.dtype) for a in arrays]
    values = [v.leaf for v in given]
    options["return_attention_scores"] = True
    listed = isinstance(layer, layers.Attention)
    y, w = layer(values, **options) if listed else layer(*values, **options)
    total = ops.sum(y * slope(y.shape).astype(layer.dtype))
    return run([y, w, *gradient(total, [*given, *layer.trainable_variables])])


def found_in_keras(layer: Any, arrays: list[np.ndarray], slope: Any, **options: Any) -> list[Any]:
    jax, keras = peer("jax"), peer("keras")

    def total(inputs: Any, weights: Any) -> Any:
        given = (inputs,) if isinstance(layer, keras.layers.Attention) else inputs
        (y, w), _ = layer.stateless_call(
            weights, [], *given, return_attention_scores=True, **options
        )
        return (y * slope(y.shape)).sum(), (y, w)

    (_, ends), (dx, dw) = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(
        [keras.ops.convert_to_tensor(a) for a in arrays],
        [v.value for v in layer.trainable_variables],
    )
    return [*ends, *dx, *dw]


def close(found: list[Any], expected: list[Any], rtol: float = 2e-4, atol: float = 1e-4) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=rtol, atol=atol)


def slope(shape: tuple[int, ...]) -> np.ndarray:
    return sample(*shape, seed=9)


@pytest.mark.parametrize(("name", "arguments"), [ATTENTION[i] for i in (0, 3, 4)])
def test_attention_is_that_of_keras(name: str, arguments: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    arrays = [sample(2, 3, 4), sample(2, 5, 6), sample(2, 5, 4)]
    mine, theirs = both(name, arguments, [a.shape for a in arrays])
    mask = [rng.random((2, 3)) < 0.6, rng.random((2, 5)) < 0.6]
    mask[1][:, 0] = True  # where nothing is left, Keras gives the mean of what was excluded
    for options in ({}, {"mask": mask, "use_causal_mask": True}):
        found = found_here(mine, arrays, slope, **options)
        close(found, found_in_keras(theirs, arrays, slope, **options))
    once, twice = mine([arrays[0], arrays[2]]), mine([arrays[0], arrays[2], arrays[2]])
    np.testing.assert_array_equal(once.numpy(), twice.numpy())


@pytest.mark.parametrize(("name", "arguments"), [HEADS[i] for i in (1, 4, 7)])
def test_heads_are_those_of_keras(name: str, arguments: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    arrays = [sample(2, 3, 4), sample(2, 5, 6), sample(2, 5, 7)]
    mine, theirs = both(name, arguments, [a.shape for a in arrays])
    words = ("value_mask", "key_mask")
    given: dict[str, Any] = {word: rng.random((2, 5)) < 0.7 for word in words}
    given["use_causal_mask"] = True
    q_mask = rng.random((2, 3)) < 0.6
    # Keras hears of the query's mask from the query alone.
    found = found_here(mine, arrays, slope, **given, query_mask=q_mask)
    close(found, found_in_keras(theirs, arrays, slope, **given, attention_mask=q_mask[..., None]))


def in_torch(
    name: str, arguments: dict[str, Any], inputs: list[Any], weights: list[Any], seen: Any
) -> list[Any]:
    """The formulas of the papers in float64; `seen` says which scores count."""
    torch = peer("torch")
    q, v, *others = inputs
    k = others[0] if others else v
    if name in SUMS:
        scale = weights[0] if mine_scales(name, arguments) else 1.0
        if name == "AdditiveAttention":
            scores = (torch.tanh(q[:, :, None] + k[:, None]) * scale).sum(-1)
        elif arguments.get("score_mode") == "concat":
            scores = weights[-1] * torch.tanh((q[:, :, None] + k[:, None]) * scale).sum(-1)
        else:
            scores = torch.einsum("btd,bsd->bts", q, k) * scale
        w = torch.softmax(scores.masked_fill(~seen, -torch.inf), -1).nan_to_num(0.0)
        return [w @ v, w]
    parts = iter(weights)

    def project(x: Any) -> Any:
        y = torch.einsum("btd,dnh->btnh", x, next(parts))
        return y + next(parts) if arguments.get("use_bias", True) else y

    q1, k1 = project(q), project(k)
    gate = torch.sigmoid(project(q)) if arguments.get("use_gate") else 1.0
    k1, v1 = (x.repeat_interleave(q1.shape[2] // x.shape[2], 2) for x in (k1, project(v)))
    scores = torch.einsum("btnh,bsnh->bnts", q1, k1) / q1.shape[-1] ** 0.5
    w = torch.softmax(scores.masked_fill(~seen, -torch.inf), -1).nan_to_num(0.0)
    heads = torch.einsum("bnts,bsnh->btnh", w, v1) * gate
    kernel = next(parts)
    y = torch.einsum("btnh,nhm->btm", heads, kernel.flatten(2))
    y = y + next(parts).flatten() if arguments.get("use_bias", True) else y
    return [y.reshape(*y.shape[:2], *kernel.shape[2:]), w]


def mine_scales(name: str, arguments: dict[str, Any]) -> bool:
    return bool(arguments.get("use_scale", name == "AdditiveAttention"))


@pytest.mark.parametrize("case", range(COUNT))
def test_random_cases_are_the_formulas_in_float64(case: int) -> None:
    torch = peer("torch")
    rng = np.random.default_rng(case)
    name, arguments = (ATTENTION + HEADS)[case % len(ATTENTION + HEADS)]
    b, t, s, d, e, f = (int(n) for n in rng.integers(1, 7, 6))
    listed, keyed = name in SUMS, bool(rng.integers(2))
    f = d if listed else f
    arrays = [rng.standard_normal(n) for n in ((b, t, d), (b, s, e if keyed or not listed else d))]
    arrays += [rng.standard_normal((b, s, f))] if keyed else []
    layer = getattr(layers, name)(**arguments, dtype="float64")
    options, seen, kept = masks(rng, name, arguments, (b, t, s))
    found_here(layer, arrays, lambda shape: np.ones(shape), **options)
    layer.set_weights([rng.standard_normal(w.shape) for w in layer.get_weights()])
    ends = [torch.tensor(a, requires_grad=True) for a in (*arrays, *layer.get_weights())]
    y, w = in_torch(name, arguments, ends[: len(arrays)], ends[len(arrays) :], torch.tensor(seen))
    y = y * torch.tensor(kept.reshape(b, t, *[1] * (y.ndim - 2)))
    g = rng.standard_normal(y.shape)
    (y * torch.tensor(g)).sum().backward()
    slopes = [torch.zeros_like(x) if x.grad is None else x.grad for x in ends]
    expected = [y.detach(), w.detach(), *slopes]
    close(found_here(layer, arrays, lambda _: g, **options), expected, 1e-8, 1e-8)


def masks(
    rng: np.random.Generator, name: str, arguments: dict[str, Any], sizes: tuple[int, int, int]
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Masks of a call, drawn, which scores count with them, and which of the sums do not become
    0."""
    b, t, s = sizes
    options: dict[str, Any] = {"use_causal_mask": bool(rng.integers(2))}
    seen = np.tri(t, s, dtype=bool) if options["use_causal_mask"] else np.ones((t, s), bool)
    if (window := arguments.get("sliding_window")) is not None:
        seen = seen & (np.abs(np.arange(s) - np.arange(t)[:, None]) < window)
    given = {"query_mask": truths(rng, b, t), "value_mask": truths(rng, b, s)}
    given["key_mask"] = truths(rng, b, s)
    given = {k: m for k, m in given.items() if rng.random() < 0.5}
    if name in SUMS:
        given.pop("key_mask", None)
        q_mask, v_mask = given.get("query_mask"), given.get("value_mask")
        options["mask"] = [q_mask, v_mask] if given else None
        seen = seen & (np.ones((b, 1, s), bool) if v_mask is None else v_mask[:, None])
        return options, seen, np.ones((b, t), bool) if q_mask is None else q_mask
    options |= given
    seen = np.broadcast_to(seen, (b, 1, t, s))
    for word, mask in given.items():
        seen = seen & (mask[:, None, :, None] if word == "query_mask" else mask[:, None, None])
    n = arguments.get("num_heads", arguments.get("num_query_heads"))
    forms = [(b, t, s), (1, t, s), (b, n, t, s), (b, 1, t, s), (t, s), (b, 1, s), None]
    if (form := forms[rng.integers(len(forms))]) is not None:
        options["attention_mask"] = own = truths(rng, *form)
        seen = seen & (own if own.ndim == 4 else own.reshape(-1, 1, *own.shape[-2:]))
    return options, seen, np.ones((b, t), bool)


@pytest.mark.parametrize("axes", [(1, 3), -2])
def test_attention_over_some_axes_is_that_of_keras(axes: Any) -> None:
    keras = peer("keras")
    arguments = {"num_heads": 2, "key_dim": 3, "attention_axes": axes}
    mine, theirs = (
        layers.MultiHeadAttention(**arguments),
        keras.layers.MultiHeadAttention(**arguments),
    )
    size = [2, 3, 2, 4, 5]
    last = [1, 2, 3] if axes is None else [a % 5 for a in np.atleast_1d(axes)]
    other = [n + (i in last) for i, n in enumerate(size)]
    other[-1] = 6
    arrays = [sample(*size), sample(*other)]
    mine, theirs = both("MultiHeadAttention", arguments, [tuple(size), tuple(other)])
    lead = [n for i, n in enumerate(size[:-1]) if i not in last]
    places = [size[a] for a in last] + [other[a] for a in last]
    mask = np.random.default_rng(0).random((*lead, *places)) < 0.6
    found = found_here(mine, arrays, slope, attention_mask=mask)
    close(found, found_in_keras(theirs, arrays, slope, attention_mask=mask))


def test_attention_over_all_axes_is_that_over_one_long_axis() -> None:
    layer, flat = (layers.MultiHeadAttention(2, 3) for _ in range(2))
    x, v = sample(2, 3, 2, 4, 5), sample(2, 2, 2, 3, 5)
    mask = np.random.default_rng(0).random((2, 3, 2, 1, 2, 2, 3)) < 0.5
    y, w = layer(x, v, attention_mask=mask, return_attention_scores=True)
    assert w.shape == (2, 2, 3, 2, 4, 2, 2, 3)
    x, v = x.reshape(2, 24, 5), v.reshape(2, 12, 5)
    flat.build_for(query_shape=x.shape, value_shape=v.shape)
    flat.set_weights(layer.get_weights())
    own = np.broadcast_to(mask, (2, 3, 2, 4, 2, 2, 3)).reshape(2, 24, 12)
    expected, weights = flat(x, v, attention_mask=own, return_attention_scores=True)
    np.testing.assert_array_equal(y.numpy().reshape(2, 24, 5), expected.numpy())
    np.testing.assert_array_equal(w.numpy().reshape(2, 2, 24, 12), weights.numpy())


def test_masks_of_steps_over_one_of_two_axes() -> None:
    layer = layers.MultiHeadAttention(2, 3, attention_axes=2)
    x, mask = sample(2, 3, 5, 4), np.random.default_rng(0).random((2, 3, 5)) < 0.6
    y = layer(x, x, query_mask=mask, value_mask=mask, use_causal_mask=True).numpy()
    for i in range(3):
        options = {"query_mask": mask[:, i], "value_mask": mask[:, i], "use_causal_mask": True}
        one = layers.MultiHeadAttention(2, 3)
        one.build_for(query_shape=(None, 5, 4), value_shape=(None, 5, 4))
        one.set_weights(layer.get_weights())
        np.testing.assert_allclose(
            one(x[:, i], x[:, i], **options).numpy(), y[:, i], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("case", range(8))
def test_dot_product_attention_is_that_of_torch(case: int) -> None:
    torch = peer("torch")
    rng = np.random.default_rng(case)
    b, t, s, g, p, d, m = (int(n) for n in rng.integers(1, 5, 7))
    q, k, v = (
        Variable(rng.standard_normal(n), dtype="float64")
        for n in ((b, t, g * p, d), (b, s, g, d), (b, s, g, m))
    )
    causal, scale = bool(case % 2), None if case % 3 else 0.7
    bias = rng.standard_normal((b, 1, t, s)) if case % 4 < 2 else np.zeros((1, 1, 1, 1))
    mask = truths(rng, b, g * p, t, s)
    mask[..., 0] = True
    y = ops.dot_product_attention(q, k, v, bias, mask, scale, causal)
    slope = rng.standard_normal(y.shape)
    found = run([y, *gradient(ops.sum(y * slope), [q, k, v])])
    theirs = [torch.tensor(x.numpy(), requires_grad=True) for x in (q, k, v)]
    seen = mask & np.tri(t, s, dtype=bool) if causal else mask
    added = torch.tensor(np.where(seen, bias, -np.inf))
    turned = [x.transpose(1, 2) for x in theirs]
    expected = torch.nn.functional.scaled_dot_product_attention(
        *turned, added, scale=scale, enable_gqa=True
    ).transpose(1, 2)
    (expected * torch.tensor(slope)).sum().backward()
    for one, other in zip(found, [expected.detach(), *(x.grad for x in theirs)], strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-9, atol=1e-9)


def test_a_layer_with_the_weights_of_torch() -> None:
    torch = peer("torch")
    theirs = torch.nn.MultiheadAttention(6, 3, batch_first=True).double()
    mine = layers.MultiHeadAttention(3, 2, dtype="float64")
    x, mask = sample(4, 5, 6).astype("float64"), np.tri(5, dtype=bool)
    mine.build_for(query_shape=x.shape, value_shape=x.shape)
    parts = theirs.in_proj_weight.detach().numpy().reshape(3, 3, 2, 6)
    found = []
    for part, bias in zip(
        parts, theirs.in_proj_bias.detach().numpy().reshape(3, 3, 2), strict=True
    ):
        found += [part.transpose(2, 0, 1), bias]
    last = theirs.out_proj
    found += [last.weight.detach().numpy().T.reshape(3, 2, 6), last.bias.detach().numpy()]
    mine.set_weights(found)
    given = torch.tensor(x)
    expected, _ = theirs(given, given, given, attn_mask=torch.tensor(~mask))
    y = mine(x, x, use_causal_mask=True).numpy()
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-9)


EVERY = [*ATTENTION[:5], HEADS[1], HEADS[4], HEADS[6]]


@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_gradients_are_those_of_differences(name: str, arguments: dict[str, Any]) -> None:
    layer = getattr(layers, name)(dtype="float64", **arguments)
    rng = np.random.default_rng(1)
    q, v = (Variable(rng.standard_normal((2, n, 4)), dtype="float64") for n in (3, 5))
    listed = name in SUMS
    mask = np.array([[True, False, True, True, False], [False] * 5])
    options: dict[str, Any] = {"mask": [None, mask]} if listed else {"value_mask": mask}

    def total() -> Any:
        y = layer([q.leaf, v.leaf], **options) if listed else layer(q.leaf, v.leaf, **options)
        return ops.sum(ops.square(y + 1.0))

    total()
    moved = [q, v, *layer.trainable_variables]
    found = [ops.sum(g * g) for g in gradient(total(), moved)]
    slopes = run(gradient(total(), moved))
    assert np.isfinite(run(found)).all()
    for variable, slope in zip(moved, slopes, strict=True):
        direction, x = rng.standard_normal(variable.shape), variable.numpy()
        ends = []
        for step in (1e-6, -1e-6):
            variable.assign(x + step * direction)
            ends.append(run([total()])[0])
        variable.assign(x)
        expected = (ends[0] - ends[1]) / 2e-6
        assert (slope * direction).sum() == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_what_nothing_is_left_of_is_zero(name: str, arguments: dict[str, Any]) -> None:
    layer = getattr(layers, name)(**arguments)
    q, v = Variable(sample(2, 3, 4)), Variable(sample(2, 5, 4))
    listed = name in SUMS
    for mask in (np.zeros((2, 5), bool), np.array([[False] * 5, [True] * 5])):
        if listed:
            y, w = layer([q.leaf, v.leaf], mask=[None, mask], return_attention_scores=True)
        else:
            y, w = layer(q.leaf, v.leaf, value_mask=mask, return_attention_scores=True)
        found = run([y, w, *gradient(ops.sum(y * y), [q, v])])
        assert all(np.isfinite(a).all() for a in found)
        assert not found[1][0].any() and not found[2][0].any() and not found[3][0].any()
        assert found[0][0].any() == (not listed and bool(layer.get_weights()[-1].any()))
        if mask.any():
            np.testing.assert_allclose(found[1][1].sum(-1), 1.0, rtol=1e-5)


def test_places_that_are_masked_do_not_matter() -> None:
    x = sample(2, 6, 4)
    mask = np.array([[True] * 4 + [False] * 2, [True] + [False] * 5])
    other = np.where(mask[..., None], x, 1e6 * sample(2, 6, 4, seed=5)).astype("float32")
    layer = layers.MultiHeadAttention(2, 3)
    found = [layer(a, a, query_mask=mask, value_mask=mask).numpy() for a in (x, other)]
    np.testing.assert_array_equal(found[0], found[1])
    cut = layer(x[:1, :4], x[:1, :4]).numpy()
    np.testing.assert_allclose(found[0][:1, :4], cut, rtol=1e-5, atol=1e-6)
    causal = [layer(a, a, use_causal_mask=True).numpy() for a in (x, np.roll(x, 1, 0))]
    later = np.concatenate([x[:, :3], other[:, 3:] * 7], 1)
    np.testing.assert_array_equal(layer(later, later, use_causal_mask=True).numpy()[:, :3],
                                  causal[0][:, :3])  # fmt: skip


@pytest.mark.parametrize(("b", "t", "s"), list(itertools.product((0, 1, 2), repeat=3)))
def test_lengths_of_zero_and_one(b: int, t: int, s: int) -> None:
    q, v = sample(b, t, 4), sample(b, s, 4)
    for name, arguments in EVERY:
        layer = getattr(layers, name)(**arguments)
        if name in SUMS:
            y, w = layer([q, v], mask=[None, np.ones((b, s), bool)], return_attention_scores=True)
        else:
            y, w = layer(q, v, value_mask=np.ones((b, s), bool), return_attention_scores=True)
        assert y.shape[:2] == (b, t) and w.shape[-2:] == (t, s)
        expected = np.zeros(w.shape[:-1]) if s == 0 else np.ones(w.shape[:-1])
        window = arguments.get("sliding_window")
        if window is None:
            np.testing.assert_allclose(w.numpy().sum(-1), expected, rtol=1e-5)
        if s == 0 and name in SUMS:
            assert not y.numpy().any()


# Networks


def transformer(again: bool = False) -> Model:
    """Attention of a sequence to itself, with masks, dropout, residuals and normalization."""
    set_random_seed(3)
    x = Input((6,), dtype="int32", name="tokens")
    y = layers.Embedding(9, 8, mask_zero=True)(x)
    for i in range(2):
        block = layers.MultiHeadAttention(2, 4, dropout=0.2, name=f"heads_{i}", recompute=again)
        y = layers.LayerNormalization()(layers.Add()([y, block(y, y, use_causal_mask=i == 0)]))
        y = layers.Add()([y, Dense(8, "relu", recompute=again)(y)])
    model = Model(x, Dense(3)(layers.GlobalAveragePooling1D()(y)))
    model.compile("adam", "mse")
    return model


def data(n: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (n, 6)) * (np.arange(6) < rng.integers(1, 7, (n, 1)))
    return x.astype("int32"), rng.standard_normal((n, 3)).astype("float32")


def test_threads_and_recomputed_layers_change_no_bit() -> None:
    bits = []
    x, y = data()
    for threads, again in ((1, False), (2, False), (3, True)):
        set_num_threads(threads)
        model = transformer(again)
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        found = [*model.get_weights(), model.predict(x, verbose=0)]
        bits.append([a.tobytes() for a in found])
    assert bits[0] == bits[1] == bits[2]


def test_masks_travel_as_in_keras() -> None:
    keras = peer("keras")

    def network(of: Any) -> Any:
        x = of.layers.Input((6,), dtype="int32")
        words = of.layers.Embedding(9, 8, mask_zero=True)
        # Keras takes the masks from what `MultiHeadAttention` is given, for all who read it later.
        z = of.layers.MultiHeadAttention(2, 4)(words(x), words(x))
        z = of.layers.Attention()([z, words(x)])
        z = of.layers.AdditiveAttention()([z, words(x)])
        z = of.layers.MultiHeadAttention(2, 4)(z, words(x), use_causal_mask=True)
        return of.Model(x, [of.layers.GlobalAveragePooling1D()(z), z])

    mine, theirs = network(chainrule), network(keras)
    sharing(mine, theirs, weights_for(mine))
    x, _ = data()
    (pooled, y), (pooled1, y1) = mine.predict(x, verbose=0), theirs.predict(x, verbose=0)
    np.testing.assert_allclose(pooled, pooled1, rtol=2e-5, atol=2e-5)
    counts = (x != 0)[..., None]
    np.testing.assert_allclose(y * counts, y1 * counts, rtol=2e-5, atol=2e-5)


def test_networks_are_saved_and_loaded(tmp_path: Any) -> None:
    model = transformer()
    x, y = data()
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    ends = [m.fit(x, y, epochs=1, verbose=0).history["loss"] for m in (model, again)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("name", "arguments"), [*ATTENTION, *HEADS])
def test_configurations(name: str, arguments: dict[str, Any]) -> None:
    more = {"dropout": 0.25, "seed": 3}
    if len(name) > 17:
        more |= {"kernel_initializer": "he_normal", "bias_regularizer": "l2"}
        more |= {"kernel_constraint": "non_neg", "activity_regularizer": "l1"}
    layer = getattr(layers, name)(**arguments, **more)
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    theirs = getattr(peer("keras").layers, name)(**arguments, **more)
    ours = set(layer.get_config()) - {"activity_regularizer"}
    assert ours == set(theirs.get_config()) - {"activity_regularizer"}


def test_a_plan_copies_no_more_than_the_turns_of_heads() -> None:
    def turns(heads: int, **options: Any) -> int:
        x = Input((5, 8))
        model = Model(x, layers.MultiHeadAttention(heads, 4)(x, x, **options))
        model.compile("sgd", "mse")
        model.fit(sample(3, 5, 8), sample(3, 5, 8, seed=1), batch_size=3, verbose=0)
        (step,) = (s for k, s in model._trainer._steps.items() if k.kind == "train")
        calls = [c for phase in step.program.plan.phases for loop in phase for c in loop.calls]
        assert sum(c.name == "batch_matmul" for c in calls) == 6
        return sum(c.name == "transpose" for c in calls)

    # Query, key, value and what is found, there and back.
    assert turns(2) == turns(2, use_causal_mask=True) == 8
    assert turns(1) == 0


def test_dropout_is_in_training_alone_and_follows_the_seed() -> None:
    x = constant(sample(4, 40, 8))
    for layer in (
        layers.MultiHeadAttention(2, 4, dropout=0.5, seed=1),
        layers.GroupQueryAttention(4, 2, 1, dropout=0.5, seed=1),
    ):

        def drawn(layer: Any, step: int, training: bool = True) -> np.ndarray:
            with scope.tracing(constant(np.array([7, step])), training):
                return np.asarray(layer(x, x))

        plain, first = drawn(layer, 0, False), drawn(layer, 0)
        assert (first != plain).any() and (drawn(layer, 1) != first).any()
        np.testing.assert_array_equal(drawn(layer, 0), first)
        many = np.mean([drawn(layer, i) for i in range(200)], axis=0)
        assert np.abs(many - plain).mean() < 0.2 * np.abs(first - plain).mean()
    layer = layers.Attention(dropout=0.5, seed=2)
    with scope.tracing(constant(np.array([7, 0])), True):
        y = np.asarray(
            layer(
                [
                    constant(np.zeros((1, 3, 2), "float32")),
                    constant(np.ones((1, 1000, 2), "float32")),
                ]
            )
        )
    assert 0.85 < y.mean() < 1.15 and (y != 1).all()


# Softmax, EinsumDense


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), (-1, 1), [2]])
def test_softmax_is_that_of_keras(axis: Any) -> None:
    keras = peer("keras")
    x = sample(2, 3, 4)
    mine, theirs = layers.Softmax(axis), keras.layers.Softmax(axis)
    np.testing.assert_allclose(mine(x).numpy(), theirs(x), rtol=1e-5, atol=1e-6)
    rng = np.random.default_rng(0)
    for shape in ((2, 3, 4), (2, 1, 4), (1, 3, 4), (3, 4), (4,)):
        mask = rng.random(shape) < 0.6
        expected = theirs(x, mask=keras.ops.convert_to_tensor(mask))
        np.testing.assert_allclose(mine(x, mask=mask).numpy(), expected, rtol=1e-5, atol=1e-6)
        numbers = mask.astype("float32")
        np.testing.assert_array_equal(mine(x, mask=numbers).numpy(), mine(x, mask=mask).numpy())
    assert not mine(x, mask=np.zeros((2, 3, 4), bool)).numpy().any()
    steps = np.array([[True, True, False], [True, False, False]])
    y = layers.Softmax()(x, mask=steps).numpy()
    np.testing.assert_allclose(y.sum(-1), steps, rtol=1e-5)
    with pytest.raises(ShapeError, match="does not fit scores"):
        mine(x, mask=np.ones((5, 4), bool))


EQUATIONS: list[tuple[str, Any, Any, tuple[int, ...]]] = [
    ("ab,bc->ac", 5, "c", (2, 3)),
    ("abc,cd->abd", (None, 5), "d", (2, 3, 4)),
    ("abc,cde->abde", (None, 5, 2), "de", (2, 3, 4)),
    ("abc,cde->abde", (None, 5, 2), "e", (2, 3, 4)),
    ("abc,cde->abde", (3, 5, 2), "d", (2, 3, 4)),
    ("abcd,cde->abe", (None, 5), None, (2, 3, 4, 2)),
    ("...x,xy->...y", 5, "y", (2, 3, 4)),
    ("...ab,bc->...ac", (3, 6), "a", (2, 3, 4)),
    ("ab...,bc->ac...", 5, "c", (2, 3, 4)),
    ("abc,bcd->abd", (3, 5), "bd", (2, 3, 4)),
    ("abc,dc->adb", (6, None), "d", (2, 3, 4)),
]


@pytest.mark.parametrize(("equation", "outputs", "bias", "shape"), EQUATIONS)
def test_einsum_dense_is_that_of_keras(
    equation: str, outputs: Any, bias: Any, shape: tuple[int, ...]
) -> None:
    jax, keras = peer("jax"), peer("keras")
    arguments = {"equation": equation, "output_shape": outputs, "bias_axes": bias}
    mine = layers.EinsumDense(**arguments, activation="tanh")
    theirs = keras.layers.EinsumDense(**arguments, activation="tanh")
    mine.build_for(shape)
    theirs.build(shape)
    spread = [np.std(w.get_weights()[0]) for w in (mine, theirs)]
    assert spread[0] == pytest.approx(spread[1], rel=0.7)
    sharing(mine, theirs, weights_for(mine))
    x = Variable(sample(*shape))
    y = mine(x.leaf)
    slope = sample(*y.shape, seed=9)
    assert mine.compute_output_shape((None, *shape[1:])) == (None, *y.shape[1:])

    def total(weights: Any, x: Any) -> Any:
        y, _ = theirs.stateless_call(weights, [], x)
        return (y * slope).sum(), y

    (_, expected), (dw, dx) = jax.value_and_grad(total, (0, 1), has_aux=True)(
        [v.value for v in theirs.trainable_variables], keras.ops.convert_to_tensor(x.numpy())
    )
    found = run([y, *gradient(ops.sum(y * slope), [x, *mine.trainable_variables])])
    for one, other in zip(found, [expected, dx, *dw], strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)
    again = layers.deserialize(layers.serialize(mine))
    assert again.get_config() == mine.get_config()


def test_first_weights_count_what_is_summed_over() -> None:
    set_random_seed(0)
    layer = layers.EinsumDense("abc,cde->abde", (None, 20, 30))
    layer.build_for((None, 3, 200))
    limit = np.sqrt(6 / (200 + 600))
    first = layer.get_weights()[0]
    assert 0.98 * limit < np.abs(first).max() <= limit
    layer = layers.EinsumDense("abc,dec->abde", (None, 20, 30), kernel_initializer="he_normal")
    layer.build_for((None, 3, 200))
    assert layer.get_weights()[0].std() == pytest.approx(np.sqrt(2 / 200), rel=0.02)


# Mistakes


Q, V = np.zeros((2, 3, 4)), np.zeros((2, 5, 4))
MISTAKES: list[tuple[Any, type[Exception], str]] = [
    (lambda: layers.Attention(score_mode="dots"), ArgumentError, "did you mean 'dot'"),
    (lambda: layers.Attention(dropout=1.0), ArgumentError, "rate is 1.0"),
    (lambda: layers.Attention()(Q), ArgumentError, r"\[query, value\] or \[query, value, key\]"),
    (lambda: layers.Attention()([Q]), ArgumentError, "not list of 1"),
    (lambda: layers.Attention()([Q, np.zeros((2, 5, 3))]), ShapeError, "do not fit together"),
    (lambda: layers.Attention()([Q, V, Q]), ShapeError, "do not fit together"),
    (lambda: layers.Attention()([Q, V], mask=[None, np.ones((2, 3), bool)]), ShapeError,
     r"mask of the value has shape \[2, 3\]; expected \[2, 5\]"),
    (lambda: layers.MultiHeadAttention(0, 2), ArgumentError, "num_heads is 0"),
    (lambda: layers.MultiHeadAttention(2, 2.5), ArgumentError, "key_dim is 2.5"),
    (lambda: layers.MultiHeadAttention(2, 2, sliding_window=0), ArgumentError, "sliding_window"),
    (lambda: layers.MultiHeadAttention(2, 2, attention_axes="1"), ArgumentError, "whole number"),
    (lambda: layers.MultiHeadAttention(2, 2, attention_axes=2)(Q, V), ArgumentError, "axes 1 to 1"),
    (lambda: layers.MultiHeadAttention(2, 2)(Q, V, V[:, 1:]), ShapeError, "one length"),
    (lambda: layers.MultiHeadAttention(2, 2)(Q, V[1:]), ShapeError, "one batch"),
    (lambda: layers.MultiHeadAttention(2, 2)(Q, V, value_mask=np.ones((2, 3))), ShapeError,
     "mask of the value"),
    (lambda: layers.MultiHeadAttention(2, 2)(Q, V, attention_mask=np.ones((2, 5, 3))), ShapeError,
     r"\[2, 1, 5, 3\] does not fit scores of shape \[2, 2, 3, 5\]"),
    (lambda: layers.GroupQueryAttention(2, 4, 3), ArgumentError, "no multiple of the 3 heads"),
    (lambda: layers.GroupQueryAttention(2, 4, 2)(Q[None], V[None]), ShapeError, r"expected \[t, d"),
    (lambda: layers.EinsumDense("ab,bc", 3), ArgumentError, "equation is 'ab,bc'"),
    (lambda: layers.EinsumDense("ab,bc->ad", 3), ArgumentError, "only the output has axis 'd'"),
    (lambda: layers.EinsumDense("ab,bcd->ac", 3), ArgumentError, "only the kernel has axis 'd'"),
    (lambda: layers.EinsumDense("ab,bc->ac", (3, 4))(Q[0]), ArgumentError, "output_shape is"),
    (lambda: layers.EinsumDense("ab,bc->ac", (None,))(Q[0]), ArgumentError, "needs a size"),
    (lambda: layers.EinsumDense("ab,bc->ac", 3)(Q), ShapeError, "does not name"),
    (lambda: layers.EinsumDense("abc,cd->abd", (7, 3))(Q), ShapeError, "is 3 in x but 7"),
    (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="b"), ArgumentError, "y has the axes"),
    (lambda: layers.RepeatVector(0), ArgumentError, "n is 0"),
    (lambda: layers.RepeatVector(2)(Q), ShapeError, "expected a vector"),
    (lambda: ops.dot_product_attention(Q, Q, Q), ShapeError, r"takes arrays \[b, t, n, d\]"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "kind", "words"), MISTAKES)
def test_mistakes(mistake: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        mistake()


def test_a_layer_keeps_to_the_width_it_was_built_for() -> None:
    layer = layers.EinsumDense("ab,bc->ac", 3, name="wide")
    layer(np.zeros((2, 4)))
    with pytest.raises(ShapeError, match="axis `b` is 5 in x but 4 in the kernel"):
        layer(np.zeros((2, 5)))


def test_in_a_sequence() -> None:
    model = Sequential([Input((3, 4)), layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"),
                        layers.Softmax(axis=1), layers.Flatten(), Dense(6),
                        layers.RepeatVector(2)])  # fmt: skip
    model.compile("sgd", "mse")
    x = sample(4, 3, 4)
    model.fit(x, sample(4, 2, 6), verbose=0)
    assert model.predict(x, verbose=0).shape == (4, 2, 6)
