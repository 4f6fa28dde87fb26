"""Sequences of 0 steps are samples: they run, and count for nothing where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import layers
from chainrule.errors import DataError, ShapeError
from chainrule.models import Model, Sequential

NONE = np.zeros((20, 0, 2), "float32")
RANDOM = np.random.default_rng(4)


def network(*stack: layers.Layer, shape: Any = (None, 2)) -> Sequential:
    model = Sequential([layers.Input(shape), *stack])
    model.compile("adam", "mse", metrics=["mae"])
    return model


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("batch_size", [None, 7, 1])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.SimpleRNN(3), (3,)),
        (lambda: layers.LSTM(3), (3,)),
        (lambda: layers.LSTM(3, activation="softsign"), (3,)),
        (lambda: layers.GRU(3, return_sequences=True), (0, 3)),
        (lambda: layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)]), (3,)),
        (lambda: layers.Bidirectional(layers.LSTM(3)), (6,)),
        (lambda: layers.TimeDistributed(layers.Dense(3)), (0, 3)),
        (lambda: layers.Masking(), (0, 2)),
        (lambda: layers.Softmax(), (0, 2)),
    ],
)
def test_what_is_put_out_for_no_steps(
    layer: Any, shape: tuple[int, ...], batch_size: int | None, known: bool
) -> None:
    model = network(layer()) if known else Sequential([layer()])
    found = model.predict(NONE, batch_size=batch_size, verbose=0)
    np.testing.assert_array_equal(found, np.zeros((20, *shape)))


def test_recurrent_layers_put_out_the_state_they_begin_with() -> None:
    x, *state = layers.Input((None, 2)), layers.Input((3,)), layers.Input((3,))
    model = Model([x, *state], layers.LSTM(3, return_state=True)(x, initial_state=state))
    h, c = RANDOM.standard_normal((2, 20, 3)).astype("float32")
    for found, expected in zip(
        model.predict([NONE, h, c], batch_size=6, verbose=0), (h, h, c), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_training_moves_what_does_not_need_steps() -> None:
    model = network(layers.LSTM(3, name="steps"), layers.Dense(1, name="end"))
    before = [w.copy() for w in model.get_weights()]
    history = model.fit(NONE, np.ones((20, 1)), batch_size=7, epochs=3, verbose=0).history
    assert history["loss"][0] > history["loss"][-1]
    moved = [bool((a != b).any()) for a, b in zip(before, model.get_weights(), strict=True)]
    assert moved == [False] * 4 + [True]
    model.predict(np.ones((2, 3, 2)), verbose=0)
    assert model.evaluate(NONE, np.ones((20, 1)), verbose=0)[0] < history["loss"][-1]
    words = network(layers.Embedding(5, 2, mask_zero=True), layers.GRU(3), shape=(None,))
    ids = np.zeros((20, 0), "int64")
    assert words.fit(ids, np.zeros((20, 3)), verbose=0).history["loss"] == [0.0]


def test_losses_and_metrics_of_no_steps_are_0_and_count_for_nothing() -> None:
    model = network(layers.LSTM(3, return_sequences=True), layers.Dense(1))
    before, no_targets = model.get_weights(), np.ones((20, 0, 1))
    for weights in (None, np.ones(20), np.ones((20, 0))):
        model.fit(NONE, no_targets, sample_weight=weights, batch_size=7, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.evaluate(NONE, no_targets, verbose=0) == [0.0, 0.0]
    x, y = RANDOM.standard_normal((20, 4, 2)), np.ones((20, 4, 1))
    alone = model.evaluate(x, y, verbose=0)
    mixed = model.evaluate(iter([(x, y), (NONE, no_targets)]), verbose=0)
    assert mixed[1] == pytest.approx(alone[1], rel=1e-6)


def test_from_a_file(tmp_path: Any) -> None:
    np.save(tmp_path / "none.npy", NONE)
    model = network(layers.LSTM(3))
    for given in (str(tmp_path / "none.npy"), np.load(tmp_path / "none.npy", mmap_mode="r")):
        assert (model.predict(given, batch_size=6, verbose=0) == np.zeros((20, 3))).all()


def test_what_is_empty_is_said_rightly() -> None:
    model = network(layers.LSTM(3))
    with pytest.raises(DataError, match="x is empty: predict needs at least one sample"):
        model.predict(NONE[:0], verbose=0)
    with pytest.raises(ShapeError, match=r"axis `k` is 0 in x but 2 in the kernel"):
        model.predict(np.zeros((3, 4, 0)), verbose=0)
    with pytest.raises(ShapeError, match="has no places to pool"):
        network(layers.GlobalAveragePooling1D()).predict(NONE, verbose=0)
    for shape in ((3, 0), (3, 4, 0)):
        with pytest.raises(ShapeError, match=r"of size 1 or more, but a sample has \((4, )?0,?\)"):
            Sequential([layers.Dense(1)]).predict(np.zeros(shape), verbose=0)
    with pytest.raises(ShapeError, match=r"pass x with shape \(n, 4\)$"):
        network(layers.Dense(1), shape=(4,)).predict(np.zeros((3, 0)), verbose=0)
