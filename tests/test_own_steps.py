"""Classes of the user's that override `train_step`, `test_step`, `compute_loss` and `metrics`."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, losses, metrics, ops, optimizers
from chainrule.errors import ArgumentError, NotBuiltError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 6)).astype("float32")
Y = RNG.integers(0, 3, 80)


def network(kind: type[cr.Sequential] = cr.Sequential) -> cr.Sequential:
    cr.utils.set_random_seed(1)
    model = kind([layers.Input((6,)), layers.Dense(8, activation="tanh"), layers.Dense(3)])
    model.compile(
        optimizers.Adam(1e-2),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def same(a: cr.Sequential, b: cr.Sequential, tolerance: float = 2e-6) -> None:
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


class ByHand(cr.Sequential):
    def train_step(self, data):  # type: ignore[no-untyped-def]
        x, y = data
        with cr.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss, "largest": max(abs(g.numpy()).max() for g in gradients)}


class Usual(cr.Sequential):
    def train_step(self, data):  # type: ignore[no-untyped-def]
        return super().train_step(data)

    def test_step(self, data):  # type: ignore[no-untyped-def]
        return super().test_step(data)


def test_a_step_of_ones_own_takes_the_same_steps() -> None:
    plain, own = network(), network(ByHand)
    for model in (plain, own):
        history = model.fit(X, Y, batch_size=32, epochs=3, verbose=0)
    same(plain, own)
    assert set(history.history) == {"loss", "largest"} and history.history["largest"][0] > 0


def test_the_usual_step_says_what_fit_says() -> None:
    plain, own = network(), network(Usual)
    a, b = (
        m.fit(X, Y, batch_size=32, epochs=3, validation_data=(X[:40], Y[:40]), verbose=0).history
        for m in (plain, own)
    )
    same(plain, own)
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5)
    np.testing.assert_allclose(
        plain.evaluate(X, Y, verbose=0), own.evaluate(X, Y, batch_size=7, verbose=0), rtol=1e-5
    )


def test_sample_weights_and_penalties_reach_the_step() -> None:
    weights = RNG.uniform(0, 2, 80).astype("float32")
    found = []
    for kind in (cr.Sequential, Usual):
        cr.utils.set_random_seed(1)
        model = kind([layers.Input((6,)), layers.Dense(1, kernel_regularizer="l2")])
        model.compile("sgd", "mse", weighted_metrics=["mae"])
        history = model.fit(X, Y, sample_weight=weights, epochs=2, verbose=0, shuffle=False)
        found.append((model, history.history))
    same(found[0][0], found[1][0])
    for name, numbers in found[0][1].items():
        np.testing.assert_allclose(numbers, found[1][1][name], rtol=1e-5)


def test_several_outputs_by_the_usual_step() -> None:
    def build(kind: type[cr.Model]) -> cr.Model:
        cr.utils.set_random_seed(2)
        a = layers.Input((6,), name="a")
        b = layers.Input((6,), name="b")
        both = layers.Add()([a, b])
        outputs = [layers.Dense(1, name="p")(both), layers.Dense(3, name="q")(both)]
        model = kind([a, b], outputs)
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", ["mse", loss], loss_weights=[1.0, 0.5], metrics=[["mae"], ["acc"]])
        return model

    class Own(cr.Model):
        def train_step(self, data):  # type: ignore[no-untyped-def]
            return super().train_step(data)

    plain, own = build(cr.Model), build(Own)
    data = [X, X[::-1].copy()], [X[:, 0].copy(), Y]
    a, b = (m.fit(*data, epochs=2, verbose=0).history for m in (plain, own))
    same(plain, own)
    for name in ("loss", "p_mae", "q_acc"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5)


class Coder(cr.Model):
    """An autoencoder as Keras's guides write them: no `call`, no targets, its own trackers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = cr.Sequential([layers.Input((6,)), layers.Dense(2, activation="tanh")])
        self.decoder = cr.Sequential([layers.Input((2,)), layers.Dense(6)])
        self.tracker = metrics.Mean(name="reconstruction")

    @property
    def metrics(self):  # type: ignore[no-untyped-def]
        return [self.tracker]

    def train_step(self, data):  # type: ignore[no-untyped-def]
        with cr.GradientTape() as tape:
            loss = ops.mean(ops.square(self.decoder(self.encoder(data)) - data))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.tracker.update_state(loss)
        return {"reconstruction": self.tracker.result()}


def test_a_model_without_call_and_targets() -> None:
    model = Coder()
    model.compile(optimizer=optimizers.Adam(1e-2))
    told = model.fit(X, epochs=8, batch_size=16, verbose=0).history["reconstruction"]
    assert told[-1] < told[0] and np.isfinite(told).all()
    assert model.tracker.result() == told[-1]  # the mean over the last epoch alone


def test_two_optimizers() -> None:
    class Pair(cr.Model):
        def __init__(self) -> None:
            super().__init__()
            self.maker = cr.Sequential([layers.Input((2,)), layers.Dense(6)])
            self.judge = cr.Sequential([layers.Input((6,)), layers.Dense(1)])

        def compile(self, makes, judges, loss):  # type: ignore[no-untyped-def]
            super().compile()
            self.makes, self.judges, self.how = makes, judges, loss

        def train_step(self, real):  # type: ignore[no-untyped-def]
            n = len(real)
            noise = RNG.standard_normal((n, 2)).astype("float32")
            both = ops.concatenate([self.maker(noise), real], axis=0)
            labels = np.concatenate([np.ones((n, 1)), np.zeros((n, 1))]).astype("float32")
            with cr.GradientTape() as tape:
                judged = self.how(labels, self.judge(both))
            variables = self.judge.trainable_weights
            self.judges.apply_gradients(
                zip(tape.gradient(judged, variables), variables, strict=True)
            )
            with cr.GradientTape() as tape:
                made = self.how(np.zeros((n, 1), "float32"), self.judge(self.maker(noise)))
            variables = self.maker.trainable_weights
            self.makes.apply_gradients(zip(tape.gradient(made, variables), variables, strict=True))
            return {"judged": judged, "made": made}

    model = Pair()
    model.compile(
        optimizers.Adam(1e-3), optimizers.Adam(1e-3), losses.BinaryCrossentropy(from_logits=True)
    )
    before = model.get_weights()
    history = model.fit(X, epochs=2, batch_size=16, verbose=0).history
    assert np.isfinite(history["judged"]).all() and np.isfinite(history["made"]).all()
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(moved)


class Careful(cr.Sequential):
    calls = 0

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
        Careful.calls += 1
        usual = super().compute_loss(x, y, y_pred, sample_weight, training)
        return usual + 0.1 * ops.mean(ops.square(y_pred)) + 0.0 * ops.sum(x)


def test_a_loss_of_ones_own_runs_in_the_engine() -> None:
    model, by_hand = network(Careful), network()
    Careful.calls = 0
    model.fit(X, Y, batch_size=20, epochs=4, shuffle=False, verbose=0)
    assert Careful.calls == 1  # traced once for 16 steps
    optimizer, how = optimizers.Adam(1e-2), by_hand.loss
    for _ in range(4):
        for i in range(0, 80, 20):
            y_pred = by_hand(X[i : i + 20], training=True)
            loss = how(Y[i : i + 20], y_pred) + 0.1 * ops.mean(ops.square(y_pred))
            variables = by_hand.trainable_variables
            found = cr.GradientTape().gradient(loss, variables)
            optimizer.apply_gradients(zip(found, variables, strict=True))
    same(model, by_hand)


def test_a_loss_of_ones_own_needs_no_targets() -> None:
    class Self(cr.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
            return ops.mean(ops.abs(y_pred - x))

    model = Self([layers.Input((6,)), layers.Dense(6)])
    model.compile("adam")
    told = model.fit(X, epochs=4, batch_size=8, verbose=0).history["loss"]
    assert told[-1] < told[0]


def test_misuse_is_told() -> None:
    class Silent(cr.Sequential):
        def train_step(self, data):  # type: ignore[no-untyped-def]
            return None

    class Vector(cr.Sequential):
        def train_step(self, data):  # type: ignore[no-untyped-def]
            return {"loss": np.zeros(3)}

    with pytest.raises(ArgumentError, match="must return a dict"):
        network(Silent).fit(X, Y, verbose=0)
    with pytest.raises(ArgumentError, match="as 'loss'"):
        network(Vector).fit(X, Y, verbose=0)
    with pytest.raises(NotBuiltError, match="not compiled"):
        cr.Sequential([layers.Input((2,)), layers.Dense(1)]).compute_loss(y=1, y_pred=2)
