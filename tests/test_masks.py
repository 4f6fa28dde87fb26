"""Masks: where they come from, how they travel, and what losses and metrics make of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, ops
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.models import Model, Sequential, load_model
from peers import peer

# NumPy about Keras's variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TOKENS = np.array([[3, 1, 0, 0], [0, 2, 0, 4], [0, 0, 0, 0]])
SEEN = TOKENS != 0


class Note(layers.Layer):
    """Passes its input on, and keeps the mask that came with it."""

    def call(self, x: Any, mask: Any = None) -> Any:
        self.__dict__["seen"] = mask
        return x

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask


def embedded(**options: Any) -> layers.Layer:
    return layers.Embedding(5, 6, mask_zero=True, **options)


def mask_after(*stack: layers.Layer) -> np.ndarray | None:
    """What mask is left of `SEEN` behind these layers."""
    x: Any = embedded()(TOKENS)
    for layer in stack:
        x = layer(x)
    return None if x.mask is None else x.mask.numpy()


PASSING = {
    "dense": lambda: layers.Dense(3),
    "activation": lambda: layers.Activation("relu"),
    "relu": lambda: layers.ReLU(2.0),
    "leaky_relu": lambda: layers.LeakyReLU(),
    "prelu": lambda: layers.PReLU(shared_axes=[1]),
    "elu": lambda: layers.ELU(),
    "identity": lambda: layers.Identity(),
    "dropout": lambda: layers.Dropout(0.5),
    "spatial_dropout": lambda: layers.SpatialDropout1D(0.5),
    "alpha_dropout": lambda: layers.AlphaDropout(0.5),
    "gaussian_dropout": lambda: layers.GaussianDropout(0.5),
    "gaussian_noise": lambda: layers.GaussianNoise(0.5),
    "activity": lambda: layers.ActivityRegularization(0.1),
    "batch_normalization": lambda: layers.BatchNormalization(),
    "layer_normalization": lambda: layers.LayerNormalization(),
    "group_normalization": lambda: layers.GroupNormalization(2),
    "rms_normalization": lambda: layers.RMSNormalization(),
    "unit_normalization": lambda: layers.UnitNormalization(),
    "rescaling": lambda: layers.Rescaling(2.0),
    "time_distributed": lambda: layers.TimeDistributed(layers.Dense(2)),
    "lstm": lambda: layers.LSTM(3, return_sequences=True),
    "bidirectional": lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True)),
    "rnn": lambda: layers.RNN(layers.SimpleRNNCell(3), return_sequences=True),
}


@pytest.mark.parametrize("name", PASSING)
def test_layers_pass_masks_on(name: str) -> None:
    np.testing.assert_array_equal(mask_after(PASSING[name]()), SEEN)


@pytest.mark.parametrize(
    "layer",
    [layers.LSTM(3), layers.GlobalAveragePooling1D(), layers.Bidirectional(layers.LSTM(2))],
    ids=lambda layer: layer.name,
)
def test_layers_that_use_masks_up_leave_none(layer: layers.Layer) -> None:
    assert mask_after(layer) is None


@pytest.mark.parametrize(
    "layer",
    [layers.Flatten(), layers.Conv1D(2, 2), layers.MaxPooling1D(2), layers.Reshape((2, 12))],
    ids=lambda layer: layer.name,
)
def test_layers_without_masks_warn_and_drop_them(layer: layers.Layer) -> None:
    with pytest.warns(UserWarning, match="is given inputs with a mask"):
        assert mask_after(layer) is None


def test_masking_leaves_out_steps_of_the_value_alone() -> None:
    keras = peer("keras")
    x = np.array([[[1.0, 2.0], [-1.0, -1.0], [-1.0, 3.0]], [[-1.0, -1.0]] * 3], np.float32)
    mine, theirs = layers.Masking(-1.0)(x), keras.layers.Masking(-1.0)(x)
    np.testing.assert_array_equal(mine.numpy(), np.array(theirs))
    np.testing.assert_array_equal(mine.mask.numpy(), np.array(theirs._keras_mask))
    again = layers.Masking(0.0)(np.zeros((2, 0, 3)))
    assert again.shape == (2, 0, 3) and again.mask.shape == (2, 0)
    with pytest.raises(ShapeError, match="expected"):
        layers.Masking()(np.zeros(3))
    with pytest.raises(ArgumentError, match="mask_value"):
        layers.Masking("none")  # type: ignore[arg-type]


@pytest.mark.parametrize("masked", [(1, 1), (1, 0), (0, 1)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Add", {}),
        ("Average", {}),
        ("Multiply", {}),
        ("Maximum", {}),
        ("Minimum", {}),
        ("Concatenate", {"axis": 1}),
        ("Concatenate", {"axis": -1}),
        ("Dot", {"axes": 2}),
    ],
)
def test_layers_of_several_inputs_join_masks_as_keras(
    name: str, options: dict[str, Any], masked: tuple[int, int]
) -> None:
    keras, rng = peer("keras"), np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 4, 2)).astype("float32")
    a[rng.random((3, 4)) < 0.5] = 0
    b[rng.random((3, 4)) < 0.5] = 0
    found, wanted = (
        getattr(kind, name)(**options)(
            [
                kind.Masking()(x) if m else kind.Activation("linear")(x)
                for x, m in zip((a, b), masked, strict=True)
            ]
        )
        for kind in (layers, keras.layers)
    )
    np.testing.assert_allclose(found.numpy(), np.array(wanted), rtol=1e-6)
    theirs = getattr(wanted, "_keras_mask", None)
    if theirs is None:
        assert found.mask is None
    else:
        np.testing.assert_array_equal(found.mask.numpy(), np.array(theirs))


def test_the_mean_over_time_is_that_of_steps_that_count() -> None:
    keras, rng = peer("keras"), np.random.default_rng(1)
    x, mask = rng.standard_normal((4, 5, 3)).astype("float32"), rng.random((4, 5)) < 0.5
    mask[:, 0], mask[3] = True, False
    for options in ({}, {"keepdims": True}, {"data_format": "channels_first"}):
        given = x.transpose(0, 2, 1) if "data_format" in options else x
        found = layers.GlobalAveragePooling1D(**options)(given, mask=mask).numpy()
        wanted = np.asarray(keras.layers.GlobalAveragePooling1D(**options)(given, mask=mask))
        np.testing.assert_allclose(found[:3], wanted[:3], rtol=1e-5, atol=1e-6)
        assert not found[3].any()  # a mean over nothing is 0
    with pytest.raises(ShapeError, match="the mask has shape"):
        layers.GlobalAveragePooling1D()(x, mask=mask[:, :3])


def test_batch_normalization_leaves_masked_steps_out_of_its_moments() -> None:
    keras, rng = peer("keras"), np.random.default_rng(2)
    x, mask = rng.standard_normal((4, 5, 3)).astype("float32"), rng.random((4, 5)) < 0.5
    mine, theirs = layers.BatchNormalization(), keras.layers.BatchNormalization()
    for _ in range(2):
        found, wanted = (layer(x, mask=mask, training=True) for layer in (mine, theirs))
        np.testing.assert_allclose(found.numpy(), np.array(wanted), rtol=1e-4, atol=1e-5)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    with pytest.raises(ShapeError, match="the mask has shape"):
        mine(x, mask=mask[:, :3], training=True)


# Models.


class Twice(Model):
    """A class of the user's own, with a model within."""

    def __init__(self, note: Note) -> None:
        super().__init__()
        self.embedding, self.inner = embedded(), Sequential([layers.Dropout(0.1), note])
        self.out = layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(self.inner(self.embedding(x)))


def stacked(note: Note) -> Model:
    return Sequential([embedded(), layers.Dropout(0.1), note, layers.Dense(1)])


def graph(note: Note) -> Model:
    x = layers.Input((4,), dtype="int32")
    return Model(x, layers.Dense(1)(note(layers.Dropout(0.1)(embedded()(x)))))


def nested(note: Note) -> Model:
    x = layers.Input((4, 6))
    inner = Model(x, note(layers.Dropout(0.1)(x)))
    y = layers.Input((4,))
    return Model(y, layers.Dense(1)(inner(embedded()(y))))


def open_length(note: Note) -> Model:
    x = layers.Input((None,))
    return Model(x, layers.Dense(1)(note(embedded()(x))))


@pytest.mark.parametrize("made", [stacked, graph, nested, Twice, open_length])
def test_masks_go_through_models_and_into_the_loss(made: Any) -> None:
    note = Note()
    model = made(note)
    model.compile("sgd", "mse", metrics=["mae"])
    y = np.random.default_rng(0).random((3, 4, 1))
    model.fit(TOKENS, y, verbose=0)
    assert note.seen.shape == (3, 4) and note.seen.dtype == "bool"
    loss, error = model.evaluate(TOKENS, y, verbose=0)
    off = np.abs(model.predict(TOKENS, verbose=0) - y)[SEEN]
    np.testing.assert_allclose([loss, error], [np.mean(off**2), off.mean()], rtol=1e-5)


def test_masks_in_loops_by_hand_are_those_of_fit() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 5, (8, 4)), rng.random((8, 4, 1)).astype("float32")
    build = [layers.Input((4,)), embedded(), layers.LSTM(3, return_sequences=True), layers.Dense(1)]
    one = Sequential(build)
    two = Sequential.from_config(one.get_config())
    two.set_weights(one.get_weights())
    loss, optimizer = cr.losses.MeanSquaredError(), cr.optimizers.SGD(0.5)
    for _ in range(3):
        with cr.GradientTape() as tape:
            value = loss(y, one(x, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(value, one.trainable_variables), one.trainable_variables, strict=True)
        )
    two.compile(cr.optimizers.SGD(0.5), "mse")
    two.fit(x, y, epochs=3, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_an_argument_called_mask_is_filled_and_a_given_one_is_kept() -> None:
    note = Note()
    note(embedded()(TOKENS))
    assert note.seen is not None
    given = np.ones((3, 4), bool)
    found = layers.LSTM(2, return_sequences=True)(embedded()(TOKENS), mask=given)
    assert found.mask.numpy().all()
    first = layers.Input((4,))
    table = embedded()
    y = layers.LSTM(2, return_sequences=True)(table(first), mask=table.compute_mask(first))
    assert Model(first, y).predict(TOKENS, verbose=0).shape == (3, 4, 2)


@pytest.mark.parametrize("made", [stacked, graph])
def test_models_are_given_masks(made: Any) -> None:
    note = Note()
    model = made(note)
    inner = layers.Input((4, 6))
    outer = Model(inner, layers.LSTM(2, return_sequences=True)(inner))
    x, mask = np.ones((3, 4, 6)), np.array([[True, False, False, False]] * 3)
    y = outer(x, mask=mask)
    np.testing.assert_array_equal(y.mask.numpy(), mask)
    np.testing.assert_array_equal(y.numpy()[:, 0], y.numpy()[:, 3])
    both = Sequential([layers.LSTM(2, return_sequences=True), note])
    np.testing.assert_array_equal(both(x, mask=mask).mask.numpy(), mask)
    assert model(TOKENS).mask.numpy().tolist() == SEEN.tolist()


def test_a_model_of_ones_own_may_ask_for_the_mask() -> None:
    class Asking(Model):
        def call(self, inputs: Any, mask: Any = None) -> Any:
            return inputs if mask is None else ops.where(ops.expand_dims(mask, -1), inputs, 7.0)

    x = layers.Masking()(np.array([[[1.0], [0.0]]]))
    assert Asking()(x).numpy().ravel().tolist() == [1.0, 7.0]
    assert Asking()(np.ones((1, 1, 1)), mask=[[False]]).numpy().item() == 7.0


def test_masks_by_the_names_of_several_arguments() -> None:
    seen: dict[str, Any] = {}

    class Attends(layers.Layer):
        def call(
            self, query: Any, value: Any, query_mask: Any = None, value_mask: Any = None
        ) -> Any:
            seen.update(query=query_mask, value=value_mask)
            return query + value

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Attends()(embedded()(TOKENS), np.zeros((3, 4, 6)))
    assert seen["query"] is not None and seen["value"] is None


def test_layers_of_ones_own_say_what_they_do_with_masks() -> None:
    class Plain(layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2.0

    class Keeping(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.supports_masking = True

    class Every(Plain):
        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return ops.logical_not(mask)

    with pytest.warns(UserWarning, match="supports_masking"):
        assert mask_after(Plain()) is None
    np.testing.assert_array_equal(mask_after(Keeping()), SEEN)
    np.testing.assert_array_equal(mask_after(Every()), ~SEEN)
    kept = layers.Lambda(lambda x: x * 2.0, mask=lambda x, mask: mask)
    np.testing.assert_array_equal(mask_after(kept), SEEN)


# Losses and metrics.


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_leave_out_masked_steps_as_keras(reduction: str, weighted: bool) -> None:
    keras, rng = peer("keras"), np.random.default_rng(4)
    x = rng.standard_normal((5, 4, 3)).astype("float32")
    x[rng.random((5, 4)) < 0.4] = 0
    y = rng.standard_normal((5, 4, 3)).astype("float32")
    weights = rng.random((5, 4)).astype("float32") if weighted else None
    for name in ("MeanSquaredError", "MeanAbsoluteError", "Huber"):
        mine = getattr(cr.losses, name)(reduction=reduction)
        theirs = getattr(keras.losses, name)(reduction=reduction)
        found = mine(y, layers.Masking()(x), sample_weight=weights)
        wanted = theirs(y, keras.layers.Masking()(x), sample_weight=weights)
        np.testing.assert_allclose(found.numpy(), np.array(wanted), rtol=1e-5)


@pytest.mark.parametrize("weighted", [None, 1, 2])
def test_a_run_with_masks_is_that_of_keras(weighted: int | None) -> None:
    keras, rng = peer("keras"), np.random.default_rng(5)
    x, y = rng.integers(0, 6, (24, 5)), rng.integers(0, 3, (24, 5))
    x[0] = 0
    weights = None if weighted is None else rng.random((24, 5)[:weighted]).astype("float32")
    runs = []
    start = None
    for kind, models in ((keras.layers, keras), (layers, cr)):
        stack = [kind.Input((5,)), kind.Embedding(6, 4, mask_zero=True), kind.Dense(3, "softmax")]
        model = models.Sequential(stack)
        start = [np.array(w) for w in model.get_weights()] if start is None else start
        model.set_weights(start)
        # Keras on JAX loses the masks of predictions on the way to the metrics.
        model.compile(models.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
        run = model.fit(x, y, 24, 3, verbose=0, shuffle=False, sample_weight=_spread(kind, weights))
        runs.append((run.history["loss"], model.get_weights()))
    np.testing.assert_allclose(runs[1][0], runs[0][0], rtol=2e-5)
    for a, b in zip(runs[1][1], runs[0][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def _spread(kind: Any, weights: np.ndarray | None) -> np.ndarray | None:
    """The weights of samples at every step, as Keras wants them where there is a mask."""
    if weights is None or weights.ndim == 2 or kind is layers:
        return weights
    return np.repeat(weights[:, None], 5, axis=1)


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_leave_out_masked_steps(weighted: bool) -> None:
    keras, rng = peer("keras"), np.random.default_rng(7)
    x = rng.standard_normal((6, 4, 3)).astype("float32")
    x[rng.random((6, 4)) < 0.4] = 0
    y = rng.integers(0, 3, (6, 4))
    weights = rng.random((6, 4)).astype("float32") if weighted else None
    names = ("SparseCategoricalAccuracy", "SparseCategoricalCrossentropy")
    names = (*names, "SparseTopKCategoricalAccuracy")
    for name in names:
        mine, theirs = (getattr(m, name)() for m in (cr.metrics, keras.metrics))
        for part in (slice(0, 4), slice(4, 6)):
            share = None if weights is None else weights[part]
            mine.update_state(y[part], layers.Masking()(x[part]), sample_weight=share)
            theirs.update_state(y[part], keras.layers.Masking()(x[part]), sample_weight=share)
        np.testing.assert_allclose(mine.result(), float(theirs.result()), rtol=1e-5)


def test_a_batch_whose_steps_all_are_masked_changes_nothing() -> None:
    model = Sequential([embedded(), layers.LSTM(3, return_sequences=True), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.zeros((4, 3), int)
    model.build((None, 3))
    before = model.get_weights()
    run = model.fit(x, np.ones((4, 3, 1)), verbose=0)
    assert run.history["loss"] == [0.0] and run.history["mae"] == [0.0]
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_and_masks_of_wrong_shapes_are_told() -> None:
    x = layers.Masking()(np.ones((3, 4, 2)))
    with pytest.raises(ShapeError, match="sample weights"):
        cr.losses.MeanSquaredError()(np.ones((3, 4, 2)), x, sample_weight=np.ones((3, 5)))
    spread = layers.Lambda(lambda x: ops.reshape(x, (3, 8)), mask=lambda x, mask: mask)(x)
    with pytest.raises(ShapeError, match="mask for other steps"):
        cr.losses.MeanSquaredError()(np.ones((3, 8)), spread)


# Embedding.


def test_embedding_and_its_gradient_are_the_dense_rule() -> None:
    rng = np.random.default_rng(6)
    table = rng.standard_normal((6, 3)).astype("float32")
    layer = layers.Embedding(6, 3, weights=[table])
    x, g = rng.integers(0, 4, (5, 7)), rng.standard_normal((5, 7, 3)).astype("float32")
    with cr.GradientTape() as tape:
        y = ops.sum(layer(x) * g)
    np.testing.assert_array_equal(layer(x).numpy(), table[x])
    wanted = np.zeros((6, 3), np.float64)
    np.add.at(wanted, x, g)
    np.testing.assert_allclose(tape.gradient(y, layer.embeddings).numpy(), wanted, atol=1e-5)


def test_embedding_takes_whole_numbers_of_any_kind_and_shape() -> None:
    given = layers.Embedding(40_000_000, 1)._value(np.array([33_554_433]))  # which is no float32
    assert given.numpy().item() == 33_554_433
    small = layers.Embedding(3, 2)
    for x in (
        np.array([2]),
        np.array([[1.0]]),
        np.zeros((2, 0), int),
        np.zeros((1, 2, 2), "int32"),
    ):
        assert small(x).shape == (*x.shape, 2)
    assert small.compute_output_shape((None, 4)) == (None, 4, 2)


@pytest.mark.parametrize("bad", [3, -1])
def test_numbers_outside_of_an_embedding_are_told(bad: int) -> None:
    x = np.array([[0, 1], [2, bad]])
    layer = layers.Embedding(3, 2)
    with pytest.raises(DataError, match="out of range"):
        layer(x).numpy()
    model = Sequential([layer, layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match="out of range"):
        model.fit(x, np.zeros(2), verbose=0)
    with pytest.raises(DataError, match=r"from -1 to 2|from 0 to 3"):
        model.predict(x, verbose=0)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (2.0, 3), (True, 3)])
def test_sizes_of_an_embedding_are_checked(sizes: Any) -> None:
    with pytest.raises(ArgumentError, match="expected an integer"):
        layers.Embedding(*sizes)
    with pytest.raises(ShapeError):
        layers.Embedding(3, 2, weights=np.zeros((2, 2)))


def test_embedding_and_masking_are_saved(tmp_path: Any) -> None:
    model = Sequential([layers.Input((4,)), embedded(), layers.Dense(1)])
    model.save(tmp_path / "m.chainrule")
    other = load_model(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(
        model.predict(TOKENS, verbose=0), other.predict(TOKENS, verbose=0)
    )
    assert other.layers[0].mask_zero
    assert layers.deserialize(layers.serialize(layers.Masking(-2.0))).mask_value == -2.0
