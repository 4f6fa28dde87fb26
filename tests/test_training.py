"""Fitting, evaluating, predicting: the same numbers as by hand, for every way to call them."""

import numpy as np
import pytest

from chainrule import losses
from chainrule.callbacks import Callback, CallbackList, EarlyStopping, LambdaCallback
from chainrule.data.batches import collect, permutation, split, with_class_weight
from chainrule.errors import ArgumentError, DataError, NotBuiltError
from chainrule.layers import Dense, Dropout, Input
from chainrule.models import Model, Sequential
from chainrule.optimizers import SGD, Adam
from chainrule.training.progress import Progress, duration
from chainrule.utils import set_random_seed, to_categorical
from peers import peer

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((70, 4)).astype("float32")
Y = RANDOM.integers(0, 3, 70)


def network(optimizer="adam", dropout=0.0, metrics=("accuracy",), seed=1):
    set_random_seed(seed)
    middle = [Dropout(dropout)] if dropout else []
    layers = [Input((4,)), Dense(8, activation="tanh"), *middle, Dense(3, activation="softmax")]
    model = Sequential(layers)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics))
    return model


def probabilities(weights, x):
    w1, b1, w2, b2 = (w.astype("float64") for w in weights)
    z = np.tanh(x @ w1 + b1) @ w2 + b2
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def loss_by_hand(weights, x, y):
    return -np.log(probabilities(weights, x)[np.arange(len(y)), y])


@pytest.mark.parametrize("batch_size", [1, 7, 32, 70, 1000, None])
def test_evaluate_and_predict_by_hand(batch_size):
    model = network()
    expected = probabilities(model.get_weights(), X)
    predicted = model.predict(X, batch_size=batch_size, verbose=0)
    assert predicted.dtype == np.float32
    assert np.allclose(predicted, expected, atol=1e-6)
    loss, accuracy = model.evaluate(X, Y, batch_size=batch_size, verbose=0)
    assert np.isclose(loss, loss_by_hand(model.get_weights(), X, Y).mean(), atol=1e-6)
    assert np.isclose(accuracy, (expected.argmax(1) == Y).mean())


@pytest.mark.parametrize("batch_size", [1, 16, 70])
def test_fit_is_train_on_batch_in_the_order_of_the_permutation(batch_size):
    fitted, stepped = network(), network()
    history = fitted.fit(X, Y, batch_size=batch_size, epochs=2, verbose=0)
    losses_seen = []
    for epoch in range(2):
        order = permutation(stepped._trainer.seed, epoch, len(X))
        total = 0.0
        for i in range(0, len(X), batch_size):
            rows = order[i : i + batch_size]
            total += stepped.train_on_batch(X[rows], Y[rows])[0] * len(rows)
        losses_seen.append(total / len(X))
    for a, b in zip(fitted.get_weights(), stepped.get_weights(), strict=True):
        assert np.allclose(a, b, atol=1e-6)
    assert np.allclose(history.history["loss"], losses_seen, atol=1e-6)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_callbacks_and_progress_change_nothing(dropout, capsys):
    runs = []
    for callbacks, verbose in (
        ([], 0),
        ([LambdaCallback(on_train_batch_end=lambda batch, logs: None)], 2),
    ):
        model = network(dropout=dropout)
        model.fit(X, Y, batch_size=16, epochs=3, callbacks=callbacks, verbose=verbose)
        runs.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[2].startswith("epoch 3/3") and "accuracy" in lines[2]


@pytest.mark.filterwarnings("ignore::chainrule.errors.InitializationWarning")
def test_shuffling_repeats_with_the_seed_and_differs_between_epochs():
    orders = [permutation(5, epoch, 100) for epoch in range(3)]
    assert np.array_equal(orders[1], permutation(5, 1, 100))
    assert not np.array_equal(orders[0], orders[1])
    assert all(np.array_equal(np.sort(order), np.arange(100)) for order in orders)
    first, second, third = network(), network(), network(seed=2)
    for model in (first, second, third):
        model.set_weights([np.full_like(w, 0.1) for w in model.get_weights()])
        model.fit(X, Y, batch_size=8, verbose=0)
    assert np.array_equal(first.get_weights()[0], second.get_weights()[0])
    assert not np.array_equal(first.get_weights()[0], third.get_weights()[0])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float64", "float16", ">f4", "bool"])
def test_every_dtype_of_data(dtype):
    model = network()
    whole = RANDOM.integers(0, 2, X.shape)
    expected = model.predict(whole.astype("float32"), verbose=0)
    assert np.array_equal(model.predict(whole.astype(dtype), verbose=0), expected)
    model.fit(whole.astype(dtype), Y.astype("uint8"), verbose=0)


@pytest.mark.parametrize("shape", [(70,), (70, 1)])
@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
def test_labels_as_column_or_floats(shape, dtype):
    model = network()
    expected = model.evaluate(X, Y, verbose=0)
    assert np.allclose(model.evaluate(X, Y.astype(dtype).reshape(shape), verbose=0), expected)


def test_other_kinds_of_arrays():
    model = network()
    expected = model.predict(X, verbose=0)
    transposed = np.asfortranarray(X)
    for kind in (X.tolist(), transposed, X[::-1][::-1], memoryview(X)):
        assert np.allclose(model.predict(kind, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow", "torch"])
def test_tables_of_other_packages(package):
    module = pytest.importorskip(package)
    model = network()
    expected = model.predict(X, verbose=0)
    columns = {f"c{i}": X[:, i] for i in range(4)}
    if package == "torch":
        kinds = [module.tensor(X), module.tensor(X, requires_grad=True)]
    elif package == "pyarrow":
        kinds = [module.table(columns)]
    else:
        kinds = [module.DataFrame(columns)]
    for kind in kinds:
        assert np.allclose(model.predict(kind, verbose=0), expected, atol=1e-6)


def test_one_column_of_numbers():
    model = Sequential([Input((1,)), Dense(1, kernel_initializer="ones")])
    model.compile(loss="mse")
    assert model.evaluate(np.arange(5.0), np.arange(5.0), verbose=0) == 0
    assert model.evaluate(np.arange(5.0), np.arange(5.0)[:, None] + 1, verbose=0) == 1


def test_validation_split_is_the_end_and_validation_data_goes_before():
    model = network()
    held = model.evaluate(X[56:], Y[56:], verbose=0, return_dict=True)
    frozen = network(SGD(0.0))
    history = frozen.fit(X, Y, validation_split=0.2, verbose=0).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert np.isclose(history["val_loss"][0], held["loss"])
    history = frozen.fit(X, Y, validation_data=(X[:9], Y[:9]), validation_split=0.2, verbose=0)
    expected = frozen.evaluate(X[:9], Y[:9], verbose=0)[0]
    assert np.isclose(history.history["val_loss"][0], expected)


def test_validation_frequency_and_initial_epoch():
    model = network()
    history = model.fit(
        X, Y, epochs=7, initial_epoch=1, validation_split=0.5, validation_freq=3, verbose=0
    )
    assert history.epoch == [1, 2, 3, 4, 5, 6]
    assert len(history.history["val_loss"]) == 2
    history = model.fit(X, Y, epochs=4, validation_split=0.5, validation_freq=[1, 4], verbose=0)
    assert len(history.history["val_loss"]) == 2


def test_weights_of_samples_and_classes():
    weights = RANDOM.uniform(0, 2, len(X))
    model = network()
    expected = (loss_by_hand(model.get_weights(), X, Y) * weights).mean()
    loss, accuracy = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert np.isclose(loss, expected, atol=1e-6)
    assert np.isclose(accuracy, model.evaluate(X, Y, verbose=0)[1])
    by_class, by_sample = network(), network()
    by_class.fit(X, Y, class_weight={0: 2.0, 2: 0.5}, verbose=0)
    by_sample.fit(X, Y, sample_weight=np.array([2.0, 1.0, 0.5])[Y], verbose=0)
    for a, b in zip(by_class.get_weights(), by_sample.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_class_weights_are_not_of_the_share_held_out_as_in_keras():
    keras = peer("keras")
    model = network(SGD(0.1))
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="tanh"),
                               keras.layers.Dense(3, activation="softmax")])  # fmt: skip
    theirs.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    theirs.set_weights(model.get_weights())
    options = {"class_weight": {0: 9.0, 2: 0.5}, "validation_split": 0.3, "verbose": 0}
    found = model.fit(X, Y, shuffle=False, **options).history
    expected = theirs.fit(X, Y, shuffle=False, **options).history
    assert np.isclose(found["loss"], expected["loss"], rtol=1e-5).all()
    assert np.isclose(found["val_loss"], expected["val_loss"], rtol=1e-5).all()


def test_class_weights_of_one_hot_labels():
    numbers = with_class_weight(collect(X, Y, source="fit"), {1: 3.0})
    one_hot = with_class_weight(collect(X, to_categorical(Y), source="fit"), {1: 3.0})
    assert np.array_equal(numbers.weights, one_hot.weights)
    assert np.array_equal(numbers.weights, np.where(Y == 1, 3, 1))


def test_class_weights_of_numbers_of_any_size():
    labels = np.array([5, 10**12, 0, 3, 10**15])
    found = with_class_weight(collect(X[:5], labels, source="fit"), {10**12: 2.0, 5: 3.0, 7: 9.0})
    assert found.weights.tolist() == [3.0, 2.0, 1.0, 1.0, 1.0]
    with pytest.raises(ArgumentError, match="class numbers"):
        with_class_weight(collect(X[:5], labels, source="fit"), {10**30: 2.0})


def test_weighted_metrics():
    model = network(metrics=())
    loss = "sparse_categorical_crossentropy"
    model.compile("sgd", loss, weighted_metrics=["accuracy"])
    right = model.predict(X, verbose=0).argmax(1) == Y
    weights = np.where(right, 3.0, 1.0)
    expected = (weights * right).sum() / weights.sum()
    assert np.isclose(model.evaluate(X, Y, sample_weight=weights, verbose=0)[1], expected)


def test_the_same_metric_with_weights_and_without_is_named_as_in_keras():
    keras = peer("keras")

    def told(layer, entry, kind, outputs):
        start = entry((4,))
        made = kind(start, [layer(1, name=name)(start) for name in outputs])
        many = len(outputs) > 1
        asked = {name: ["mae"] for name in outputs} if many else ["mae"]
        twice = {name: ["mae", "mse", "mae"] for name in outputs} if many else ["mae", "mse", "mae"]
        made.compile("sgd", "mse", metrics=asked, weighted_metrics=twice)
        y = np.ones((len(X), 1), "float32")
        return set(made.fit(X, [y] * len(outputs), verbose=0).history)

    for outputs in (["a"], ["a", "b"]):
        found = told(Dense, Input, Model, outputs)
        assert found == told(keras.layers.Dense, keras.Input, keras.Model, outputs)


def test_metrics_begin_anew():
    model = network()
    model.reset_metrics()
    model.evaluate(X, Y, verbose=0)
    assert model.metrics[0].result() > 0
    model.reset_metrics()
    assert model.metrics[0].result() == 0
    Sequential([Dense(1)]).reset_metrics()


def test_what_calls_return():
    model = network(metrics=())
    assert isinstance(model.evaluate(X, Y, verbose=0), float)
    assert isinstance(model.train_on_batch(X, Y), float)
    assert list(model.test_on_batch(X, Y, return_dict=True)) == ["loss"]
    assert model.predict_on_batch(X).shape == (70, 3)
    model = network()
    assert len(model.evaluate(X, Y, verbose=0)) == 2
    assert set(model.evaluate(X, Y, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    assert model.metrics_names == ["loss", "accuracy"]


def test_a_model_that_is_not_compiled_predicts_only():
    model = Sequential([Dense(3)])
    assert model.predict(X, verbose=0).shape == (70, 3)
    with pytest.raises(NotBuiltError, match="compile"):
        model.fit(X, Y, verbose=0)


def test_a_loss_and_a_metric_of_ones_own():
    def distance(y_true, y_pred):
        return abs(y_pred - y_true)

    model = Sequential([Input((4,)), Dense(1)])
    model.compile(SGD(0.0), loss=distance, metrics=[distance])
    y = RANDOM.standard_normal((70, 1))
    loss, metric = model.evaluate(X, y, verbose=0)
    assert np.isclose(loss, np.abs(model.predict(X, verbose=0) - y).mean(), atol=1e-6)
    assert np.isclose(metric, loss, atol=1e-6)


def test_a_loss_that_sums():
    model = Sequential([Input((4,)), Dense(1, kernel_initializer="zeros")])
    model.compile(SGD(0.0), loss=losses.MeanSquaredError(reduction="sum"))
    assert np.isclose(model.evaluate(X[:64], np.ones(64), batch_size=32, verbose=0), 32)


class Recorder(Callback):
    """Writes down every hook that is called."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda *args: object.__getattribute__(self, "calls").append((name, args[0]))
        return object.__getattribute__(self, name)


def test_the_hooks_of_a_fit():
    recorder = Recorder()
    network().fit(X, Y, batch_size=40, validation_data=(X, Y), callbacks=[recorder], verbose=0)
    names = [name for name, _ in recorder.calls]
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    assert names == [
        "on_train_begin", "on_epoch_begin", *batch, *batch, *test, "on_epoch_end", "on_train_end",
    ]  # fmt: skip
    assert [i for name, i in recorder.calls if name == "on_train_batch_end"] == [0, 1]


def test_callbacks_see_model_params_and_running_means():
    seen = {}
    each = []
    callback = LambdaCallback(
        on_train_begin=lambda logs: seen.update(callback.params),
        on_train_batch_end=lambda batch, logs: each.append(logs["loss"]),
    )
    model = network(SGD(0.0))
    history = model.fit(X, Y, batch_size=20, epochs=1, callbacks=callback, verbose=0)
    assert seen == {"epochs": 1, "steps": 4, "verbose": 0} == dict(history.params)
    assert callback.model is model and len(each) == 4
    assert np.isclose(each[-1], history.history["loss"][0])


def test_a_callback_stops_training():
    model = network()
    stop = LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", True))
    assert len(model.fit(X, Y, epochs=9, callbacks=[stop], verbose=0).epoch) == 1
    assert len(model.fit(X, Y, epochs=2, verbose=0).epoch) == 2


def early(values, **options):
    """Return the callback after epochs with these values, and the weights it left."""
    model = Sequential([Input((1,)), Dense(1)])
    callback = EarlyStopping(monitor="loss", **options)
    hooks = CallbackList([callback], model)
    hooks.call("on_train_begin")
    model.stop_training = False
    for epoch, value in enumerate(values):
        model.set_weights([np.full((1, 1), epoch), np.zeros(1)])
        hooks.call("on_epoch_end", epoch, {"loss": value})
        if model.stop_training:
            break
    hooks.call("on_train_end")
    return callback, int(model.get_weights()[0].item())


@pytest.mark.parametrize(
    ("values", "options", "stopped", "last"),
    [
        ([3, 2, 1], {}, 0, 2),
        ([3, 2, 2.5, 1], {}, 2, 2),
        ([3, 2, 2.5, 2.4, 1], {"patience": 2}, 3, 3),
        ([3, 2, 2.5, 2.4, 1], {"patience": 2, "restore_best_weights": True}, 3, 1),
        ([3, 2, 1.95, 1.9, 0], {"min_delta": 0.5, "patience": 2}, 3, 3),
        ([1, 2, 3, 2], {"mode": "max"}, 3, 3),
        ([1, 2, 3], {"start_from_epoch": 2}, 0, 2),
        ([3, 2.9, 2.8], {"baseline": 1, "patience": 1}, 0, 2),
        ([float("nan")] * 3, {"patience": 1}, 1, 1),
    ],
)
def test_early_stopping(values, options, stopped, last):
    callback, weights = early(values, **options)
    assert callback.stopped_epoch == stopped
    assert weights == last


def test_early_stopping_refuses():
    with pytest.raises(ArgumentError, match=r"val_loss.*\n.*validation_split"):
        network().fit(X, Y, callbacks=[EarlyStopping()], verbose=0)
    with pytest.raises(ArgumentError, match="mode"):
        EarlyStopping(mode="least")
    with pytest.raises(ArgumentError, match="parentheses"):
        network().fit(X, Y, callbacks=[EarlyStopping], verbose=0)
    with pytest.raises(ArgumentError, match="on_epoch_end"):
        LambdaCallback(on_epoch_ende=print)


def test_splitting():
    batches = collect(X, Y, source="fit")
    training, validation = split(batches, 0.2)
    assert (len(training), len(validation), validation.first) == (56, 14, 56)
    assert np.shares_memory(validation.x, X)
    with pytest.raises(ArgumentError, match="validation_split"):
        split(batches, 1.0)
    with pytest.raises(ArgumentError, match="leaves 0"):
        split(collect(X[:1], Y[:1], source="fit"), 0.5)


def test_arrays_are_read_where_they_lie():
    assert collect(X, Y, source="fit").x is X


def test_user_arrays_are_let_go():
    import gc
    import weakref

    x = X.copy()
    reference = weakref.ref(x)
    model = network()
    model.fit(x, Y, verbose=0, validation_split=0.2)
    model.evaluate(x, Y, verbose=0)
    model.predict(x, verbose=0)
    model.train_on_batch(x, Y)
    del x
    gc.collect()
    assert reference() is None


def test_failed_fit_restores_everything():
    model = network(Adam(0.01), dropout=0.3)
    model.fit(X, Y, verbose=0)
    bad = np.where(np.arange(70)[:, None] == 66, np.nan, X)
    before = [v.numpy() for v in model._trainer.state()], model._trainer.epoch
    for call in (
        lambda: model.fit(bad, Y, batch_size=4, verbose=0),
        lambda: model.fit(X, Y, validation_data=(bad, Y), verbose=0),
        lambda: model.train_on_batch(bad, Y),
        lambda: model.evaluate(bad, Y, verbose=0),
    ):
        with pytest.raises(DataError, match="nan in row 66"):
            call()
        after = [v.numpy() for v in model._trainer.state()], model._trainer.epoch
        assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))
        assert before[1] == after[1]


def test_a_callback_that_fails_late_keeps_what_was_learnt():
    model = network()

    def fail(epoch, logs):
        if epoch == 2:
            raise OSError("disk full")

    before = model.get_weights()
    with pytest.raises(OSError, match="disk full"):
        model.fit(X, Y, epochs=5, callbacks=[LambdaCallback(on_epoch_end=fail)], verbose=0)
    assert model.history.epoch == [0, 1]
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_freezing_a_layer_counts_at_once():
    model = network()
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = False
    before = model.get_weights()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, False, False]


def test_a_live_line_in_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    network().fit(X, Y, epochs=2, verbose=1)
    out = capsys.readouterr().out
    assert "epoch 1/2" in out and "samples/s" in out


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.314, "0.31 s"), (12.3, "12 s"), (185, "3:05"), (3729, "1:02:09")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_progress_texts():
    progress = Progress(2, epochs=12)
    progress.begin(2, 100, 8)
    assert "epoch  3/12   4/13 batches" in progress._text(4, {"loss": 0.12345}, 1.0)
    assert progress._text(4, {"loss": 0.12345}, 1.0).endswith(
        "32 samples/s  2.12 s left  loss 0.1235"
    )
    assert progress._text(13, {}, 2.0).endswith("13/13 batches  50 samples/s  2.00 s")
