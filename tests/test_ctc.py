"""Strings of labels: the loss and its gradient against PyTorch's, decoding against all paths and
Keras, error rates against the table of distances, training, messages.

There are 500 random cases where CHAINRULE_RANDOM_CASES is 500.
"""

from __future__ import annotations

import itertools
import math
import os
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from chainrule import layers, losses, metrics, ops
from chainrule.errors import ArgumentError, DataError, GraphError, ShapeError
from chainrule.executors import run
from chainrule.graph import Variable, gradient
from chainrule.models import Sequential, load_model
from chainrule.utils import set_random_seed
from peers import peer

COUNT = int(os.environ.get("CHAINRULE_RANDOM_CASES", "25"))
FEW = min(COUNT // 12, 40)  # jax compiles each case
Rng = np.random.Generator
Label = tuple[int, ...]


def value_and_slope(z: np.ndarray, weights: np.ndarray, *given: Any, **options: Any) -> Any:
    """The losses, and the gradient of their weighted sum by the logits."""
    labels, lengths, frames = given
    leaf = Variable(z, dtype=z.dtype.name)
    y = ops.ctc_loss(labels, leaf.leaf, lengths, frames, **options)
    return run([y, *gradient(ops.sum(ops.multiply(y, weights)), [leaf])])


def random_case(seed: int) -> tuple[Rng, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Logits, labels with repetitions, their lengths and those of the frames, and the blank: empty
    strings and strings without a path among them."""
    rng = np.random.default_rng(seed)
    n, t, m, size = (int(rng.integers(1, most)) for most in (6, 30, 12, 9))
    blank = int(rng.integers(0, m + 1))
    z = rng.standard_normal((n, t, m + 1)) * rng.choice([0.1, 1.0, 10.0])
    labels = rng.integers(0, rng.integers(1, m + 1), (n, size))
    labels += labels >= blank
    return rng, z, labels, rng.integers(0, size + 1, n), rng.integers(0, t + 1, n), blank


def torch_losses(
    z: Any, labels: Any, lengths: Any, frames: Any, blank: int, infinite: bool = True
) -> Any:
    torch = peer("torch")
    log_p = torch.log_softmax(z, -1).transpose(0, 1)
    given = [torch.tensor(a) for a in (labels, frames, lengths)]
    return torch.nn.functional.ctc_loss(
        log_p, *given, blank=blank, reduction="none", zero_infinity=not infinite
    )


@pytest.mark.parametrize("seed", range(COUNT))
def test_against_pytorch(seed: int) -> None:
    torch = peer("torch")
    rng, z, labels, lengths, frames, blank = random_case(seed)
    weights = rng.standard_normal(len(z))
    theirs = torch.tensor(z, requires_grad=True)
    expected = torch_losses(theirs, labels, lengths, frames, blank).detach().numpy()
    finite = torch_losses(theirs, labels, lengths, frames, blank, infinite=False)
    (finite * torch.tensor(weights)).sum().backward()
    slope = theirs.grad.numpy()
    for dtype, exact in (("float64", 1e-12), ("float32", 2e-6)):
        given = z.astype(dtype), weights.astype(dtype), labels, lengths, frames
        found, found_slope = value_and_slope(*given, mask_index=blank)
        np.testing.assert_allclose(found, expected, rtol=exact, atol=exact)
        np.testing.assert_allclose(found_slope, slope, atol=100 * exact)
        found, found_slope = value_and_slope(*given, mask_index=blank, zero_infinity=True)
        np.testing.assert_allclose(found, finite.detach().numpy(), rtol=exact, atol=exact)
        np.testing.assert_allclose(found_slope, slope, atol=100 * exact)


@pytest.mark.parametrize("seed", range(COUNT // 3))
def test_frames_that_a_mask_leaves_out_are_as_if_they_were_not_there(seed: int) -> None:
    rng, z, labels, lengths, _, blank = random_case(seed + 1000)
    mask = rng.random(z.shape[:2]) < 0.7
    weights = rng.standard_normal(len(z))
    found, slope = value_and_slope(z, weights, labels, lengths, mask, mask_index=blank)
    for i, kept in enumerate(mask):
        one = slice(i, i + 1)
        alone = z[one][:, kept], weights[one], labels[one], lengths[one], [kept.sum()]
        expected, expected_slope = value_and_slope(*alone, mask_index=blank)
        np.testing.assert_array_equal(found[one], expected)
        np.testing.assert_array_equal(slope[one][:, kept], expected_slope)
        assert not slope[one][:, ~kept].any()


@pytest.mark.parametrize("seed", range(COUNT // 3))
def test_the_gradient_is_that_of_differences(seed: int) -> None:
    rng, z, labels, lengths, frames, blank = random_case(seed + 2000)
    given, options = (labels, lengths, frames), {"mask_index": blank, "zero_infinity": True}
    weights, way = rng.standard_normal(len(z)), rng.standard_normal(z.shape)
    _, slope = value_and_slope(z, weights, *given, **options)
    ends = [
        value_and_slope(z + step * way, weights, *given, **options)[0] @ weights
        for step in (1e-6, -1e-6)
    ]
    measured = (ends[0] - ends[1]) / 2e-6
    assert (slope * way).sum() == pytest.approx(measured, rel=1e-6, abs=1e-7)


def by_paths(z: np.ndarray, blank: int = 0, merge: bool = True) -> dict[Label, float]:
    """The probability of every string, by all paths."""
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    found: dict[Label, float] = {}
    for path in itertools.product(range(z.shape[1]), repeat=len(z)):
        runs = [c for c, _ in itertools.groupby(path)] if merge else path
        labels = tuple(c for c in runs if c != blank)
        chance = math.prod(p[k, c] for k, c in enumerate(path))
        found[labels] = found.get(labels, 0.0) + float(chance)
    return found


@pytest.mark.parametrize("t", range(6))
def test_every_string_has_the_probability_of_its_paths(t: int) -> None:
    z = np.random.default_rng(t).standard_normal((t, 3))
    known = by_paths(z, blank=1)
    for size in range(t + 2):
        for labels in itertools.product((0, 2), repeat=size):
            loss = ops.ctc_loss([[*labels, 9]], z[None], [size], [t], mask_index=1).numpy()[0]
            expected = known.get(labels, 0.0)
            assert loss == (np.inf if expected == 0 else pytest.approx(-math.log(expected)))


def test_nothing_to_say_and_nothing_heard() -> None:
    z = np.zeros((1, 0, 3))
    empty = np.zeros((1, 0), "int64")
    assert ops.ctc_loss(empty, z, [0], [0]).numpy().tolist() == [0.0]
    assert ops.ctc_loss([[1]], z, [1], [0]).numpy().tolist() == [np.inf]
    assert ops.ctc_loss(empty, np.zeros((1, 2, 4)), [0], [2]).numpy()[0] == pytest.approx(
        2 * math.log(4)
    )
    assert ops.ctc_loss(np.zeros((0, 2)), np.zeros((0, 3, 4)), np.zeros(0), []).shape == (0,)
    leaf = Variable(np.zeros((1, 3, 2)))
    loss = ops.ctc_loss([[1, 1]], leaf.leaf, [2], [2])  # between two equal labels stands a blank
    assert run([loss])[0].tolist() == [np.inf]
    assert not run(gradient(ops.sum(loss), [leaf]))[0].any()
    assert not np.signbit(ops.ctc_loss(empty, np.zeros((1, 2, 1)), [0], [2]).numpy()).any()


def test_float32_loses_nothing_to_long_or_certain_inputs() -> None:
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((2, 3000, 40)) * [[[1.0]], [[30.0]]]).astype("float32")
    labels = rng.integers(1, 40, (2, 150))
    given = labels, np.full(2, 150), np.full(2, 3000)
    weights = np.ones(2)
    narrow, wide = (value_and_slope(z.astype(d), weights.astype(d), *given) for d in ("f4", "f8"))
    for a, b in zip(narrow, wide, strict=True):
        np.testing.assert_allclose(a, b.astype("float32"), rtol=2e-7, atol=1e-30)
    sure = np.full((1, 400, 3), -12.0, "float32")
    sure[0, ::4, 1], sure[0, 1::4, 0], sure[0, 2::4, 2], sure[0, 3::4, 0] = 0, 0, 0, 0
    labels = np.tile([1, 2], 100)[None]
    loss = [ops.ctc_loss(labels, sure.astype(d), [200], [400]).numpy()[0] for d in ("f4", "f8")]
    assert loss[0] == pytest.approx(loss[1], rel=1e-6)
    assert 0 < loss[1] < 0.01


def test_excluded_classes_and_huge_logits() -> None:
    z = np.array([[[0.0, -np.inf, 0.0], [0.0, 0.0, -np.inf]], [[1e30, 0.0, 0.0]] * 2])
    found, slope = value_and_slope(z, np.ones(2), [[2, 1], [1, 0]], [2, 0], [2, 2])
    np.testing.assert_allclose(found, [2 * math.log(2), 0.0])
    np.testing.assert_allclose(slope[0], [[0.5, 0, -0.5], [0.5, -0.5, 0]])
    found, slope = value_and_slope(z[:1], np.ones(1), [[1]], [1], [1])
    assert found[0] == np.inf
    assert not slope.any()
    assert np.isnan(value_and_slope(z * np.nan, np.ones(2), [[1], [1]], [1, 1], [2, 2])[0]).all()


def test_there_is_no_second_derivative() -> None:
    leaf = Variable(np.zeros((1, 3, 2)))
    slope = gradient(ops.sum(ops.ctc_loss([[1]], leaf.leaf, [1], [3])), [leaf])[0]
    with pytest.raises(GraphError, match="'ctc_loss_gradient' has no derivative"):
        gradient(ops.sum(ops.square(slope)), [leaf])


@pytest.mark.parametrize("seed", range(FEW))
def test_the_loss_is_keras_s(seed: int) -> None:
    keras = peer("keras")
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((4, 9, 5)).astype("float32")
    labels, lengths, frames = rng.integers(1, 5, (4, 4)), rng.integers(0, 5, 4), [9, 8, 9, 8]
    expected = np.asarray(keras.ops.ctc_loss(labels, z, lengths, frames))
    np.testing.assert_allclose(ops.ctc_loss(labels, z, lengths, frames), expected, rtol=1e-5)
    labels = np.where(np.arange(4) < lengths[:, None], labels, 0)
    expected = np.asarray(keras.losses.CTC()(labels, z))
    np.testing.assert_allclose(losses.CTC()(labels, z).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_wide_search_finds_the_likeliest_strings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t, m, blank = int(rng.integers(0, 6)), int(rng.integers(2, 5)), int(rng.integers(0, 2))
    z = rng.standard_normal((2, t + 1, m)) * rng.choice([0.3, 1.0, 4.0])
    known = by_paths(z[0, :t], blank)
    best = sorted(known, key=lambda s: -known[s])
    for frames in ([t, t + 1], np.arange(t + 1) < [[t], [t + 1]]):
        labels, scores = ops.ctc_decode(
            z, frames, "beam_search", beam_width=400, top_paths=3, mask_index=blank
        )
        assert labels.shape == (3, 2, t + 1)
        for path, score, expected in zip(
            labels.numpy()[:, 0], scores.numpy()[0], best, strict=False
        ):
            assert tuple(path[path >= 0]) == expected
            assert np.exp(score) == pytest.approx(known[expected])
        for q in range(len(best), 3):
            assert scores.numpy()[0, q] == -np.inf
            assert (labels.numpy()[q, 0] == -1).all()


def test_a_narrow_search_may_miss_the_likeliest_string_but_not_its_probability() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((40, 5, 3))
    wide = ops.ctc_decode(z, [5] * 40, "beam_search")[1].numpy()
    for width in (1, 2, 5):
        labels, scores = (a.numpy() for a in ops.ctc_decode(z, [5] * 40, "beam_search", width))
        assert (scores <= wide + 1e-12).all()
        for i in range(40):
            known = by_paths(z[i])[tuple(labels[0, i][labels[0, i] >= 0])]
            assert np.exp(scores[i, 0]) <= known + 1e-12


@pytest.mark.parametrize("seed", range(FEW))
@pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
def test_strings_are_keras_s(strategy: str, seed: int) -> None:
    keras = peer("keras")
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((3, 8, 5)).astype("float32") * 2
    given = {"strategy": strategy, "beam_width": 7, "top_paths": 2, "mask_index": seed % 2}
    given["merge_repeated"] = strategy == "beam_search" or seed % 2 == 0
    expected = [np.asarray(a) for a in keras.ops.ctc_decode(z, np.array([8, 5, 1]), **given)]
    found = [a.numpy() for a in ops.ctc_decode(z, [8, 5, 1], **given)]
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)


def test_greedy_strings_with_frames_left_out() -> None:
    best = np.array([[1, 1, 0, 1, 2, 2], [1, 2, 1, 0, 0, 2]])
    z = np.eye(3)[best]
    labels, scores = ops.ctc_decode(z, [6, 4])
    assert labels.numpy().tolist() == [[[1, 1, 2, -1, -1, -1], [1, 2, 1, -1, -1, -1]]]
    assert scores.numpy().tolist() == [[-6.0], [-4.0]]
    mask = np.array([[1, 1, 0, 1, 0, 1], [1, 0, 1, 1, 0, 0]], bool)
    assert ops.ctc_decode(z, mask)[0].numpy().tolist() == [
        [[1, 2, -1, -1, -1, -1], [1, -1, -1, -1, -1, -1]]
    ]
    unmerged = ops.ctc_decode(z, [6, 4], merge_repeated=False)[0].numpy()
    assert unmerged[0, 0].tolist() == [1, 1, 1, 2, 2, -1]
    empty, score = ops.ctc_decode(np.zeros((2, 0, 3)), [0, 0])
    assert empty.shape == (1, 2, 0)
    assert score.numpy().tolist() == [[0.0], [0.0]]


def test_searches_are_the_same_by_the_reference_and_of_nan() -> None:
    z = np.random.default_rng(0).standard_normal((3, 12, 6)).astype("float32")
    z[2, 5, 1] = np.nan
    leaf = Variable(z)
    outputs = ops.ctc_decode(leaf.leaf, [12, 7, 12], "beam_search", 6, 4)
    for a, b in zip(run(outputs), run(outputs, "reference"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert (run(outputs)[1][2] == -np.inf).all()


def tiny(mask: bool = False, **options: Any) -> Sequential:
    set_random_seed(0)
    parts = [layers.Dense(24, "tanh"), layers.Dense(4)]
    model = Sequential([layers.Masking(0.0), *parts] if mask else parts)
    model.compile("adam", losses.CTC(**options), metrics=["cer"])
    model.optimizer.learning_rate = 0.02
    return model


def spoken(rng: Rng, n: int = 60, t: int = 14) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames that say labels, their number, and the labels, filled up with 0."""
    x, y = rng.standard_normal((n, t, 5)) * 0.3, np.zeros((n, 4), "int64")
    lengths = rng.integers(8, t + 1, n)
    for i, frames in enumerate(lengths):
        y[i, : rng.integers(1, 5)] = rng.integers(1, 4)
        y[i] = np.where(y[i] > 0, rng.integers(1, 4, 4), 0)
        for place, label in enumerate(y[i][y[i] > 0]):
            x[i, 2 * place, label] += 4
        x[i, frames:] = 0
    return x, y, lengths


def test_a_network_learns_strings() -> None:
    x, y, lengths = spoken(np.random.default_rng(0))
    model = tiny(mask=True)
    history = model.fit(x, y, epochs=60, verbose=0).history
    assert history["loss"][-1] < 0.1 * history["loss"][0]
    assert history["cer"][-1] < 0.05
    rate = model.evaluate(x, y, verbose=0)[1]
    logits = model.predict(x, verbose=0)
    decoded = ops.ctc_decode(logits, lengths)[0].numpy()[0]
    assert rate == pytest.approx(metrics.CharacterErrorRate()(y, decoded))


def test_a_mask_gives_the_frames_that_count() -> None:
    x, y, lengths = spoken(np.random.default_rng(1))
    model = tiny(mask=True)
    loss = model.evaluate(x, y, verbose=0)[0]
    logits = model.predict(x, verbose=0)
    count = (y > 0).sum(axis=1)
    assert loss == pytest.approx(ops.ctc_loss(y, logits, count, lengths).numpy().mean(), rel=1e-5)
    whole = tiny().evaluate(x, y, verbose=0)[0]
    assert whole == pytest.approx(losses.ctc(y, logits).numpy().mean(), rel=1e-5)
    assert whole != pytest.approx(loss, rel=1e-2)


def test_padding_may_stand_anywhere_and_weights_count() -> None:
    z = np.random.default_rng(0).standard_normal((2, 6, 4))
    ahead = losses.CTC(reduction="none")([[1, 2, 0, 0], [3, 0, 0, 0]], z).numpy()
    for y in ([[0, 0, 1, 2], [0, 3, 0, 0]], [[1, 0, 0, 2], [0, 0, 0, 3]]):
        np.testing.assert_array_equal(losses.CTC(reduction="none")(y, z).numpy(), ahead)
    weighted = losses.CTC()([[1, 2], [3, 0]], z, sample_weight=[1.0, 3.0]).item()
    assert weighted == pytest.approx((ahead @ [1, 3]) / 2, rel=1e-6)
    other = losses.CTC(mask_index=3)([[0, 1], [2, 3]], np.roll(z, -1, axis=2)).item()
    assert other == pytest.approx(ahead.mean(), rel=1e-6)


def test_a_softmax_is_taken_back_to_its_logits() -> None:
    x, y, _ = spoken(np.random.default_rng(2))
    plain, soft = tiny(), tiny()
    soft.add(layers.Softmax())
    soft.compile("adam", "ctc")
    found = soft.fit(x, y, epochs=2, verbose=0).history["loss"]
    model = tiny()
    model.compile("adam", "ctc")
    assert found == model.fit(x, y, epochs=2, verbose=0).history["loss"]
    assert plain.evaluate(x, y, verbose=0)[0] > 0


def test_a_saved_model_knows_its_loss(tmp_path: Any) -> None:
    x, y, _ = spoken(np.random.default_rng(3), n=8)
    model = tiny(mask_index=0, zero_infinity=True)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.chainrule")
    again = load_model(tmp_path / "model.chainrule")
    assert again.loss.zero_infinity
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert losses.deserialize(losses.serialize(losses.CTC(mask_index=2))).mask_index == 2
    assert isinstance(losses.get("CTC"), losses.CTC)


def table(a: Sequence[Any], b: Sequence[Any]) -> int:
    """The distance by the whole table."""
    d = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, j in itertools.product(range(len(a)), range(len(b))):
        d[i + 1][j + 1] = min(d[i][j + 1] + 1, d[i + 1][j] + 1, d[i][j] + (a[i] != b[j]))
    return d[-1][-1]


@pytest.mark.parametrize("seed", range(COUNT))
def test_distances_are_those_of_the_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    letters = [*string.ascii_lowercase[: rng.integers(1, 6)], "ß", "漢", "😀"]
    a, b = ([rng.choice(letters, k).tolist() for k in rng.integers(0, 15, 7)] for _ in range(2))
    expected = [table(x, y) for x, y in zip(a, b, strict=True)]
    texts = ["".join(x) for x in a], ["".join(y) for y in b]
    assert metrics.edit_distance(a, b).tolist() == expected
    assert metrics.edit_distance(*texts).tolist() == expected
    assert [metrics.edit_distance(x, y) for x, y in zip(*texts, strict=True)] == expected
    rate = metrics.CharacterErrorRate()
    for x, y in zip(*texts, strict=True):
        rate.update_state(x, y)
    length = sum(map(len, a))
    assert rate.result() == pytest.approx(sum(expected) / length)
    words = [" ".join(x) for x in a], ["  ".join(y) for y in b]
    assert metrics.WordErrorRate()(*words) == pytest.approx(sum(expected) / length)


def test_error_rates_of_labels() -> None:
    y = [[1, 2, 3, 0], [0, 2, 0, 0], [0, 0, 0, 0]]
    heard = [[1, 3, -1, -1, -1], [2, 2, 2, -1, -1], [1, -1, -1, -1, -1]]
    rate = metrics.CharacterErrorRate()
    assert rate(y, heard) == 1.0
    rate.reset_state()
    assert rate.result() == 0.0
    rate.update_state(y, heard, sample_weight=[1.0, 0.0, 0.0])
    assert rate.result() == pytest.approx(1 / 3)
    assert metrics.WordErrorRate()(np.array(y), np.array(heard)) == 1.0
    assert metrics.CharacterErrorRate()("", "a") == np.inf
    assert metrics.CharacterErrorRate()("", "") == 0.0
    assert metrics.CharacterErrorRate(mask_index=9)([[0, 9]], [[0, 1]]) == 1.0
    assert metrics.edit_distance([], []).tolist() == []
    found = metrics.deserialize(metrics.serialize(metrics.CharacterErrorRate(3, "errors")))
    assert (found.name, found.mask_index) == ("errors", 3)
    assert isinstance(metrics.get("wer"), metrics.WordErrorRate)


Z = np.zeros((2, 5, 4))
WRONG = {
    "no labels [n, l]": (lambda: ops.ctc_loss([1, 2], Z, [1, 1], [5, 5]), ShapeError, "target  "),
    "other samples": (lambda: ops.ctc_loss([[1]], Z, [1], [5, 5]), ShapeError, r"\[n, t, m\]"),
    "a mask too short": (
        lambda: ops.ctc_loss([[1], [1]], Z, [1, 1], np.ones((2, 4), bool)),
        ShapeError,
        r"output_length : \[2, 4\]",
    ),
    "more labels": (
        lambda: ops.ctc_loss([[1], [1]], Z, [1, 2], [5, 5]),
        DataError,
        "target_length has 2; expected numbers from 0 to 1",
    ),
    "more frames": (
        lambda: ops.ctc_loss([[1], [1]], Z, [1, 1], [5, 6]),
        DataError,
        "output_length has 6; expected numbers from 0 to 5",
    ),
    "no class": (
        lambda: ops.ctc_loss([[1], [4]], Z, [1, 1], [5, 5]),
        DataError,
        "label 4 is not one of the classes.\n  expected: whole numbers from 0 to 3 without 0",
    ),
    "the blank": (
        lambda: ops.ctc_loss([[1, 0], [2, 1]], Z, [2, 1], [5, 5]),
        DataError,
        "label 0 is not",
    ),
    "no blank": (
        lambda: ops.ctc_loss([[1], [1]], Z, [1, 1], [5, 5], mask_index=4),
        ArgumentError,
        "the blank is class 4, but there are 4 classes",
    ),
    "rank of a loss": (lambda: losses.CTC()([1, 2], Z), ShapeError, r"y_pred : \[2, 5, 4\]"),
    "label of a loss": (lambda: losses.CTC()([[1], [-1]], Z), DataError, "ctc: label -1 is not"),
    "strategy": (lambda: ops.ctc_decode(Z, [5, 5], "beam"), ArgumentError, "beam_search"),
    "lengths": (lambda: ops.ctc_decode(Z, [5]), ShapeError, r"sequence_lengths : \[1\]"),
    "long": (lambda: ops.ctc_decode(Z, [5, 6]), DataError, "sequence_lengths has 6"),
    "a blank": (lambda: ops.ctc_decode(Z, [5, 5], mask_index=4), ArgumentError, "mask_index is 4"),
    "paths": (
        lambda: ops.ctc_decode(Z, [5, 5], "beam_search", beam_width=2, top_paths=3),
        ArgumentError,
        "top_paths is 3",
    ),
    "other strings": (lambda: metrics.edit_distance(["a"], ["b", "c"]), DataError, "has 1 and"),
    "one string": (lambda: metrics.edit_distance("a", ["b"]), DataError, "has one string and"),
    "texts and labels": (
        lambda: metrics.WordErrorRate()(["a"], [[1, 2]]),
        DataError,
        "texts on both sides",
    ),
    "strings of labels": (
        lambda: metrics.CharacterErrorRate()([[1]], [[1], [2]]),
        ShapeError,
        "y_true has 1 strings, y_pred 2",
    ),
    "rank of labels": (lambda: metrics.CharacterErrorRate()([1], [1]), ShapeError, r"\[n, l\]"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_said(name: str) -> None:
    call, kind, text = WRONG[name]
    with pytest.raises(kind, match=text):
        call()


def test_a_label_out_of_range_is_found_in_the_data() -> None:
    x, y, _ = spoken(np.random.default_rng(0))
    y[17, 1] = 4
    with pytest.raises(DataError, match="label 4 in row 17 of y is not one of the classes"):
        tiny().fit(x, y, verbose=0)
    with pytest.raises(ShapeError, match=r"strings of labels \[n, l\]"):
        tiny().fit(x, y[:, 0] % 4, verbose=0)
