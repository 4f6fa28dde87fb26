"""Steps written as Keras's guides write them: metrics updated by hand, predictions changed."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, metrics, ops
from chainrule.models import Model, Sequential

RNG = np.random.default_rng(2)
X = RNG.standard_normal((64, 5)).astype("float32")
Y = RNG.integers(0, 3, 64)


class Guide(Model):
    """The loop of the guide to customizing fit."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(8, activation="relu")
        self.out = layers.Dense(3, activation="softmax")

    def call(self, inputs):
        return self.out(self.hidden(inputs))

    def train_step(self, data):
        x, y = data
        with cr.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return self.measured(loss, y, y_pred)

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        return self.measured(self.compute_loss(y=y, y_pred=y_pred), y, y_pred)

    def measured(self, loss, y, y_pred):
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


class Plain(Guide):
    """The same network, trained as usual."""

    train_step = Model.train_step
    test_step = Model.test_step


def trained(kind):
    cr.utils.set_random_seed(1)
    model = kind()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0, validation_data=(X[:32], Y[:32]))
    return model, history.history


def test_metrics_updated_in_a_step():
    (own, found), (plain, wanted) = trained(Guide), trained(Plain)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)
    assert [m.name for m in own.metrics] == ["loss", "accuracy"]
    assert [m.name for m in plain.metrics] == ["accuracy"]
    scores = own.evaluate(X, Y, batch_size=16, verbose=0)
    np.testing.assert_allclose(scores, plain.evaluate(X, Y, batch_size=16, verbose=0), rtol=1e-5)


def test_metrics_in_attributes_begin_anew_with_each_epoch():
    class Counting(Guide):
        def __init__(self):
            super().__init__()
            self.seen = metrics.Sum(name="seen")

        def train_step(self, data):
            self.seen.update_state(np.ones(len(data[0])))
            return {**super().train_step(data), "seen": self.seen.result()}

        def measured(self, loss, y, y_pred):
            return {"loss": loss}

    model, history = trained(Counting)
    assert history["seen"] == [64.0, 64.0, 64.0]
    assert "seen" in [m.name for m in model.metrics]


@pytest.mark.parametrize("batch_size", [5, 64])
def test_predictions_of_a_step_of_ones_own(batch_size):
    class Shares(Sequential):
        def predict_step(self, data):
            return {"share": ops.softmax(self(data)), "most": ops.argmax(self(data), axis=-1)}

    cr.utils.set_random_seed(1)
    model = Shares([layers.Input((5,)), layers.Dense(3)])
    logits = model(X).numpy()
    found = model.predict(X, batch_size=batch_size, verbose=0)
    e = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(found["share"], e / e.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(found["most"], logits.argmax(1))
    np.testing.assert_array_equal(model.predict_on_batch(X)["most"], logits.argmax(1))


def test_data_sets_by_number():
    class Batches(cr.utils.PyDataset):
        def __init__(self, **options):
            super().__init__(**options)
            self.ended = 0

        def __len__(self):
            return 4

        def __getitem__(self, i):
            return X[16 * i : 16 * i + 16], Y[16 * i : 16 * i + 16]

        def on_epoch_end(self):
            self.ended += 1

    data = Batches(workers=2, use_multiprocessing=False)
    models = []
    for given in ({"x": data}, {"x": X, "y": Y, "batch_size": 16}):
        cr.utils.set_random_seed(1)
        models.append(Plain())
        models[-1].compile("adam", "sparse_categorical_crossentropy")
        models[-1].fit(**given, epochs=2, shuffle=False, verbose=0)
    assert data.ended == 2 and cr.utils.Sequence is cr.utils.PyDataset
    for a, b in zip(*(m.get_weights() for m in models), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(NotImplementedError, match="must define __len__"):
        models[0].fit(cr.utils.PyDataset(), verbose=0)


@pytest.mark.parametrize("parts", [(1,), (1, 2), (1, None, 3), (1, 2, 3)])
def test_batches_in_parts(parts):
    x, y, weights = (*parts, None, None)[:3]
    packed = cr.utils.pack_x_y_sample_weight(*parts)
    assert cr.utils.unpack_x_y_sample_weight(packed) == (x, y, weights)
    with pytest.raises(ValueError, match="not 4 parts"):
        cr.utils.unpack_x_y_sample_weight((1, 2, 3, 4))
