"""Mixup: the paper's formula within a step of fit, for every kind of target, and repeatable."""

import warnings

import numpy as np
import pytest

from chainrule import Input, Model, executors, losses, ops
from chainrule.callbacks import BackupAndRestore, LambdaCallback
from chainrule.errors import ArgumentError, ChainruleError, DTypeError, GraphError
from chainrule.layers import BatchNormalization, Concatenate, Dense, Dropout, MixUp, serialize
from chainrule.layers import deserialize as layer_of
from chainrule.layers.augment import symmetric_beta
from chainrule.models import Sequential, load_model
from chainrule.optimizers import SGD
from chainrule.training.gradients import Recorder
from chainrule.utils import set_random_seed, to_categorical
from peers import peer

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((60, 5)).astype("float32")
Y = RANDOM.integers(0, 3, 60)
T = RANDOM.standard_normal((60, 2)).astype("float32")


def network(loss="sparse_categorical_crossentropy", units=3, activation="softmax", **options):
    set_random_seed(4)
    layers = [MixUp(options.pop("alpha", 0.4), input_shape=(5,), seed=options.pop("seed", None))]
    layers += options.pop("more", [])
    model = Sequential([*layers, Dense(units, activation=activation, name="out")])
    model.compile(options.pop("optimizer", SGD(0.5)), loss, **options)
    return model


def drawn(model, n, step=0):
    """Return share and partner of a step, as the layer draws them from the model's key."""
    from chainrule.graph import constant, scope

    with scope.tracing(constant(np.array([model._trainer.seed, step], np.int64)), True):
        mixing = model.layers[0]._drawn(ops.as_value(np.zeros((n, 1), "float32")))
    share, partner = executors.run([mixing.share, mixing.partner])
    return share, partner


def mixed(share, partner, a):
    share = share.reshape(-1, *[1] * (a.ndim - 1))
    return share * a + (1 - share) * a[partner]


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_a_step_is_equation_1_in_float64(sparse, weighted):
    weights = RANDOM.uniform(0.5, 2, 60) if weighted else None
    model = network() if sparse else network("categorical_crossentropy")
    w, b = (v.astype("float64") for v in model.get_weights())
    share, partner = drawn(model, 60)
    x, t = mixed(share, partner, X.astype("float64")), mixed(share, partner, to_categorical(Y, 3))
    s = np.ones(60) if weights is None else mixed(share, partner, weights)
    p = softmax(x @ w + b)
    loss = -(s * (t * np.log(p)).sum(1)).mean()
    gradient = x.T @ (s[:, None] * (p - t)) / 60
    y = Y if sparse else to_categorical(Y, 3)
    assert np.isclose(model.train_on_batch(X, y, sample_weight=weights), loss, rtol=1e-5)
    assert np.allclose(model.get_weights()[0], w - 0.5 * gradient, atol=1e-6)
    again, _ = drawn(model, 60, step=1)
    assert not np.array_equal(share, again)


def test_regression_mixes_targets():
    model = network("mae", units=2, activation=None)
    w, b = (v.astype("float64") for v in model.get_weights())
    share, partner = drawn(model, 60)
    x, t = mixed(share, partner, X.astype("float64")), mixed(share, partner, T.astype("float64"))
    assert np.isclose(model.train_on_batch(X, T), np.abs(x @ w + b - t).mean(), rtol=1e-5)


def test_torch_does_the_same_step():
    torch = peer("torch")
    model = network()
    share, partner = (torch.tensor(a) for a in drawn(model, 60))
    w, b = (torch.tensor(v, requires_grad=True) for v in model.get_weights())
    x, y, s = torch.tensor(X), torch.tensor(Y), share.float()
    z = (s[:, None] * x + (1 - s)[:, None] * x[partner]) @ w + b
    each = torch.nn.CrossEntropyLoss(reduction="none")
    loss = (s * each(z, y) + (1 - s) * each(z, y[partner])).mean()
    loss.backward()
    assert np.isclose(model.train_on_batch(X, Y), loss.item(), rtol=1e-5)
    moved = (w - 0.5 * w.grad).detach().numpy()
    assert np.allclose(model.get_weights()[0], moved, atol=1e-6)


@pytest.mark.parametrize("reduction", losses.base.REDUCTIONS)
def test_class_numbers_are_one_hot_vectors_in_every_reduction(reduction):
    weights = RANDOM.uniform(0.5, 2, 60)
    numbers = network(losses.SparseCategoricalCrossentropy(reduction=reduction))
    vectors = network(losses.CategoricalCrossentropy(reduction=reduction))
    vectors._trainer.seed = numbers._trainer.seed
    vectors._trainer.key.assign(numbers._trainer.key.numpy())
    a = numbers.train_on_batch(X, Y, sample_weight=weights)
    b = vectors.train_on_batch(X, to_categorical(Y, 3), sample_weight=weights)
    assert np.isclose(a, b, rtol=1e-5)
    for v, w in zip(numbers.get_weights(), vectors.get_weights(), strict=True):
        assert np.allclose(v, w, rtol=1e-4, atol=1e-6)


def test_a_loss_of_ones_own_may_take_class_numbers():
    def own(y_true, y_pred):
        return losses.sparse_categorical_crossentropy(y_true, y_pred)

    ours, theirs = network(own), network()
    assert np.isclose(ours.train_on_batch(X, Y), theirs.train_on_batch(X, Y), rtol=1e-6)


def test_metrics_compare_with_the_larger_share():
    model = network(optimizer=SGD(0.0), metrics=["accuracy"])
    share, partner = drawn(model, 60)
    assert (share >= 0.5).all() and sorted(partner) == list(range(60))
    w, b = model.get_weights()
    predicted = (mixed(share, partner, X) @ w + b).argmax(1)
    assert np.isclose(model.train_on_batch(X, Y)[1], (predicted == Y).mean())


def test_nothing_is_mixed_outside_of_training():
    model, plain = network(metrics=["accuracy"]), Sequential([Dense(3, activation="softmax")])
    plain.build((None, 5))
    plain.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    plain.set_weights(model.get_weights())
    assert model.evaluate(X, Y, verbose=0) == plain.evaluate(X, Y, verbose=0)
    assert np.array_equal(model.predict(X, verbose=0), plain.predict(X, verbose=0))


def test_alpha_0_is_no_mixing():
    a, b = network(alpha=0), network(alpha=0)
    b.pop()
    b = Sequential([Dense(3, activation="softmax", input_shape=(5,))])
    b.compile(SGD(0.5), "sparse_categorical_crossentropy")
    b.set_weights(a.get_weights())
    assert a.train_on_batch(X, Y) == b.train_on_batch(X, Y)


@pytest.mark.parametrize("sparse", [False, True])
def test_same_bits_at_any_number_of_threads(sparse):
    found = []
    before = executors.num_threads()
    try:
        for threads in (1, 2, 3):
            executors.set_num_threads(threads)
            model = network() if sparse else network("categorical_crossentropy")
            model.fit(X, Y if sparse else to_categorical(Y, 3), batch_size=16, epochs=3, verbose=0)
            found.append(model.get_weights())
    finally:
        executors.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_run_that_is_resumed_ends_with_the_same_bits(tmp_path):
    whole = network(more=[Dense(8), BatchNormalization(), Dropout(0.3)])
    whole.fit(X, Y, batch_size=16, epochs=4, verbose=0)

    def stop(batch, logs):
        raise KeyboardInterrupt

    def part():
        return network(more=[Dense(8), BatchNormalization(), Dropout(0.3)])

    broken = part()
    backup = BackupAndRestore(str(tmp_path / "backup"), save_freq=1)
    count = iter(range(100))
    stopper = LambdaCallback(
        on_train_batch_end=lambda batch, logs: next(count) == 6 and stop(batch, logs)
    )
    with pytest.raises(KeyboardInterrupt):
        broken.fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[backup, stopper])
    resumed = part()
    backup = BackupAndRestore(str(tmp_path / "backup"), save_freq=1)
    resumed.fit(X, Y, batch_size=16, epochs=4, verbose=0, callbacks=[backup])
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_in_the_middle_of_a_model_it_mixes_what_layers_put_out():
    set_random_seed(1)
    layers = [Dense(6, activation="tanh", input_shape=(5,)), MixUp(1.0), Dense(2)]
    model = Sequential(layers)
    model.compile(SGD(0.5), "mse")
    model._trainer.optimizer = recorder = Recorder()
    w1, b1, w2, b2 = (v.astype("float64") for v in model.get_weights())
    share, partner = None, None
    from chainrule.graph import constant, scope

    with scope.tracing(constant(np.array([model._trainer.seed, 0], np.int64)), True):
        mixing = layers[1]._drawn(ops.as_value(np.zeros((60, 1), "float32")))
    share, partner = executors.run([mixing.share, mixing.partner])
    model.train_on_batch(X, T)
    h = np.tanh(X @ w1 + b1)
    error = 2 * (mixed(share, partner, h) @ w2 + b2 - mixed(share, partner, T)) / T.size
    back = error @ w2.T
    to_h = share[:, None] * back
    np.add.at(to_h, partner, (1 - share)[:, None] * back)
    expected = X.T @ (to_h * (1 - h**2))
    found = next(v for name, v in recorder.found.items() if name.endswith("kernel"))
    assert np.allclose(found.numpy(), expected, atol=1e-6)


def test_several_inputs_are_mixed_alike_and_several_outputs_too():
    a, b = Input((5,), name="a"), Input((2,), name="b")
    mixed_a, mixed_b = MixUp(0.4)([a, b])
    both = Concatenate()([mixed_a, mixed_b])
    model = Model([a, b], [Dense(3, name="kind")(both), Dense(2, name="size")(both)])
    kind = losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(SGD(0.1), [kind, "mse"], metrics=[["accuracy"], []])
    history = model.fit([X, T], [Y, T], epochs=30, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def test_it_learns():
    x = RANDOM.standard_normal((600, 5)).astype("float32")
    y = (x[:, :3] * 2).argmax(1)
    model = network(alpha=0.2, optimizer=SGD(0.5), metrics=["accuracy"])
    model.fit(x, y, epochs=20, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.93


def test_a_seed_of_its_own():
    first, second = network(seed=7), network(seed=7)
    second._trainer.key.assign(np.array([123, 0]))
    losses_seen = [[m.train_on_batch(X, Y) for _ in range(3)] for m in (first, second)]
    assert losses_seen[0] == losses_seen[1]
    assert len(set(losses_seen[0])) == 3


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha):
    stats = peer("scipy.stats")
    u, v = RANDOM.random(20000), RANDOM.random(20000)
    share = symmetric_beta(ops.as_value(u), ops.as_value(v), alpha).numpy()
    assert stats.kstest(share, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_shares_at_the_edges():
    edge = [0.0, 0.0, 1 - 2**-53, 2**-53]
    for alpha in (1e-3, 0.2, 1.0, 100.0):
        share = symmetric_beta(ops.as_value(edge), ops.as_value([0.0, 0.25, 0.5, 0.75]), alpha)
        assert ((share.numpy() >= 0) & (share.numpy() <= 1)).all()


def test_on_arrays_as_in_keras():
    images = RANDOM.standard_normal((8, 4, 4, 3)).astype("float32")
    labels = to_categorical(RANDOM.integers(0, 3, 8), 3)
    out = MixUp(0.4)({"images": images, "labels": labels})
    assert out["images"].shape == images.shape and out["labels"].dtype == "float32"
    flat = np.concatenate([images.reshape(8, -1), labels], axis=1)
    both = np.concatenate([out["images"].numpy().reshape(8, -1), out["labels"].numpy()], axis=1)
    # Each row is a mixture of its own and one other, with the same share for image and label.
    for row, start in zip(both, flat, strict=True):
        fits = [np.linalg.lstsq(np.stack([start, o], 1), row, rcond=None) for o in flat]
        errors = [
            np.abs(np.stack([start, o], 1) @ f[0] - row).max()
            for f, o in zip(fits, flat, strict=True)
        ]
        assert min(errors) < 1e-5
    keras = peer("keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = keras.layers.MixUp(alpha=0.4, seed=1)({"images": images, "labels": labels})
    assert set(theirs) == set(out) and theirs["images"].shape == out["images"].shape
    same = MixUp(0.4)({"images": images, "labels": labels}, training=False)
    assert np.array_equal(same["images"].numpy(), images)
    whole_numbers = MixUp()({"images": np.arange(6).reshape(3, 2), "labels": np.eye(3)})
    assert whole_numbers["images"].dtype == "float32"


def test_saving(tmp_path):
    model = network(alpha=0.7)
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.chainrule")
    loaded = load_model(tmp_path / "m.chainrule")
    assert loaded.layers[0].alpha == 0.7
    assert loaded.train_on_batch(X, Y) == model.train_on_batch(X, Y)
    layer = layer_of(serialize(MixUp(0.3, data_format="channels_first", seed=3)))
    assert (layer.alpha, layer.data_format, layer.seed) == (0.3, "channels_first", 3)


def refused(call, kind, match):
    with pytest.raises(kind, match=match) as caught:
        call()
    assert isinstance(caught.value, ChainruleError)


def test_a_loss_computed_by_the_model_itself_is_refused():
    class Own(Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(ops.square(y_pred - y))

    model = Own([MixUp(input_shape=(5,)), Dense(2)])
    model.compile("sgd", "mse")
    refused(lambda: model.fit(X, T, verbose=0), GraphError, "compute_loss of your own")


def test_mistakes():
    refused(lambda: MixUp(-0.1), ArgumentError, "alpha")
    refused(lambda: MixUp("a"), ArgumentError, "alpha")
    refused(lambda: MixUp(data_format="nchw"), ArgumentError, "data_format")
    refused(lambda: MixUp(seed=1.5), ArgumentError, "seed")
    refused(lambda: MixUp()({"images": X, "labels": Y}), ArgumentError, "one-hot")
    refused(lambda: MixUp()({"images": X, "boxes": Y}), ArgumentError, "boxes")
    refused(lambda: MixUp()(X, training=True), GraphError, "with a loop")
    twice = Sequential([MixUp(input_shape=(5,)), Dense(4), MixUp(), Dense(2)])
    twice.compile("sgd", "mse")
    refused(lambda: twice.fit(X, T, verbose=0), GraphError, "mixed already")
    whole = Input((5,), dtype="int32")
    model = Model(whole, Dense(2)(ops.cast(MixUp()(whole), "float32")))
    model.compile("sgd", "mse")
    refused(lambda: model.fit(Y.repeat(5).reshape(60, 5), T, verbose=0), DTypeError, "whole")
