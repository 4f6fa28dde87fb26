"""Metrics and optimizers of the user's own, written as Keras's users write them."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import (
    GradientTape,
    Variable,
    activations,
    find_learning_rate,
    losses,
    metrics,
    ops,
    optimizers,
)
from chainrule.cli.use import Trained
from chainrule.errors import (
    ArgumentError,
    ChainruleWarning,
    DataError,
    GraphError,
    MissingMethodError,
    ShapeError,
)
from chainrule.layers import Dense, Input, LeakyReLU
from chainrule.models import Model, Sequential
from chainrule.optimizers import schedules
from chainrule.training import fingerprint

RANDOM = np.random.default_rng(4)
X = RANDOM.normal(size=(32, 4)).astype("float32")
Y = RANDOM.normal(size=(32, 1)).astype("float32")
START = [RANDOM.normal(size=s).astype("float32") for s in ((4, 3), (3,), (3, 1), (1,))]


def trained(optimizer, epochs=3, **options):
    model = Sequential([Input((4,)), Dense(3, activation="tanh"), Dense(1)])
    model.set_weights(START)
    model.compile(optimizer, "mse", **options)
    history = model.fit(X, Y, epochs=epochs, batch_size=10, shuffle=False, verbose=0).history
    return model, history


class Doubled(metrics.MeanSquaredError):
    """A metric that hands something else to the one it is made from."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(2 * y_true, 2 * y_pred, sample_weight)


class Spread(metrics.Metric):
    """A metric made of others, one of which sees each batch twice."""

    def __init__(self, name="spread"):
        super().__init__(name=name)
        self.square = metrics.MeanSquaredError()
        self.sums = {"twice": metrics.Sum()}
        self.batches = self.add_weight(shape=(), name="batches")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.square.update_state(y_true, y_pred)
        self.sums["twice"].update_state(ops.abs(y_true - y_pred))
        self.sums["twice"].update_state(y_true)
        self.batches.assign_add(1.0)

    def result(self):
        return {
            "square": self.square.result(),
            "twice": self.sums["twice"].result(),
            "batches": self.batches,
        }


def test_a_metric_that_hands_its_batch_on():
    _, logs = trained("sgd", metrics=[Doubled(name="doubled"), "mse"])
    np.testing.assert_allclose(logs["doubled"], 4 * np.array(logs["mse"]), rtol=1e-5)
    by_hand = Doubled()
    by_hand.update_state(np.array([0.0, 1.0]), np.array([0.0, 3.0]))
    assert by_hand.result() == 8.0


def test_a_metric_made_of_metrics():
    model, logs = trained("sgd", metrics=[Spread(), "mse"])
    np.testing.assert_allclose(logs["square"], logs["mse"], rtol=1e-6)
    assert logs["batches"] == [4.0] * 3
    found = model.evaluate(X, Y, batch_size=16, verbose=0, return_dict=True)
    predicted = model.predict(X, verbose=0)
    assert found["twice"] == pytest.approx(np.abs(predicted - Y).sum() + Y.sum(), rel=1e-4)
    assert found["batches"] == 2.0
    by_hand = Spread()
    by_hand.update_state(Y, predicted)
    assert by_hand.result()["twice"] == pytest.approx(found["twice"], rel=1e-4)
    assert len(by_hand.variables) == 4
    by_hand.reset_state()
    assert all(float(v) == 0 for v in by_hand.variables)


class Momentum(optimizers.Optimizer):
    """SGD with momentum, and a count of steps."""

    def __init__(self, learning_rate=0.01, momentum=0.9, name="own", **options):
        super().__init__(learning_rate=learning_rate, name=name, **options)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.moves = [self.add_variable_from_reference(v, name="move") for v in variables]
        self.count = self.add_variable((), name="count")

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        move = self.moves[index]
        self.assign(move, self.momentum * move + ops.cast(gradient, variable.dtype))
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * move)
        if index == 0:
            self.assign_add(self.count, 1.0)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"clipnorm": 0.1},
    {"gradient_accumulation_steps": 2},
    {"use_ema": True, "ema_momentum": 0.5},
    {"skip_nonfinite": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_an_optimizer_with_a_step_of_its_own(options):
    model, logs = trained(Momentum(0.05, **options))
    plain, expected = trained(optimizers.SGD(0.05, momentum=0.9, **options))
    np.testing.assert_allclose(logs["loss"], expected["loss"], rtol=1e-5)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert float(model.optimizer.count) == int(model.optimizer.iterations)
    assert Momentum.from_config(model.optimizer.get_config()).momentum == 0.9


def test_its_slots_are_state():
    whole, _ = trained(Momentum(0.05), epochs=4)
    model, _ = trained(Momentum(0.05), epochs=2)
    assert len(model.optimizer.variables) == 3 + len(START)
    before = [v.numpy() for v in model.optimizer.variables]
    find_learning_rate(model, X, Y, verbose=0)
    for a, b in zip(before, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    model.fit(X, Y, epochs=4, initial_epoch=2, batch_size=10, shuffle=False, verbose=0)
    for a, b in zip(whole.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_frozen_and_thawed():
    model, _ = trained(Momentum(0.05), epochs=1)
    for trainable in (False, True):
        model.layers[0].trainable = trainable
        before = model.get_weights()
        model.fit(X, Y, verbose=0)
        moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
        assert moved == [trainable, trainable, True, True]


def test_a_step_that_changes_the_one_of_another():
    class Half(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(0.5 * gradient, variable, learning_rate)

    halved, _ = trained(Half(0.1, momentum=0.5))
    plain, _ = trained(optimizers.SGD(0.05, momentum=0.5))
    for a, b in zip(halved.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_own_steps_by_hand():
    w = Variable([1.0, 2.0])
    optimizer = Momentum(0.1, momentum=0.5)
    optimizer.apply([ops.as_value([1.0, 1.0])], [w])
    optimizer.apply([ops.as_value([1.0, 1.0])])
    np.testing.assert_allclose(w.numpy(), [0.75, 1.75])
    with GradientTape() as tape:
        loss = ops.sum(ops.square(w))
    optimizer.apply_gradients(zip(tape.gradient(loss, [w]), [w], strict=True))
    np.testing.assert_allclose(w.numpy(), [0.525, 1.325], rtol=1e-6)
    assert int(optimizer.iterations) == float(optimizer.count) == 3
    with pytest.raises(GraphError, match="2 gradients for 1 variables"):
        optimizer.apply([w, w], [w])


def test_what_an_own_step_lacks():
    class Guarded(Momentum):
        def build(self, variables):
            if not self.built:
                super().build(variables)

    class Nothing(optimizers.Optimizer):
        pass

    optimizer = Guarded(0.1)
    optimizer.build([Variable([1.0])])
    with pytest.raises(GraphError, match=r"(?s)Guarded was not built for the weight 'other'.*fix"):
        optimizer.apply([ops.as_value([1.0])], [Variable([1.0], name="other")])
    with pytest.raises(MissingMethodError, match="Nothing must define rule or update_step"):
        trained(Nothing())


def test_the_rate_that_a_schedule_gives_now():
    schedule = schedules.ExponentialDecay(0.1, 4, 0.5)
    model, _ = trained(optimizers.Adam(schedule), epochs=2)
    rate = model.optimizer.learning_rate
    assert float(rate) == float(np.asarray(rate)) == rate.numpy() == pytest.approx(0.025)
    assert rate(4) == schedule(4) == pytest.approx(0.05)
    model.fit(X, Y, batch_size=10, verbose=0)
    assert float(rate) == pytest.approx(0.0125)
    several, _ = trained(optimizers.SGD(schedule, gradient_accumulation_steps=3), epochs=1)
    assert float(several.optimizer.learning_rate) == pytest.approx(0.05)
    with pytest.raises(ArgumentError, match="call it with the number of a step"):
        float(schedule)


def test_a_loss_that_returns_nothing():
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("sgd", lambda y_true, y_pred: None)
    with pytest.raises(ArgumentError, match="returned None"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("of", [lambda y, p: y, lambda y, p: ops.round(p)])
def test_a_loss_that_nothing_can_be_learnt_from(of):
    model = Sequential([Input((4,)), Dense(1)])
    model.compile("sgd", lambda y_true, y_pred: ops.mean(of(y_true, y_pred)))
    before = model.get_weights()
    with pytest.warns(ChainruleWarning, match="depends on none of the trainable weights"):
        model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_class_is_no_activation():
    with pytest.raises(ArgumentError, match="did you forget the parentheses"):
        Dense(3, activation=LeakyReLU)


def test_mistaken_arguments_of_an_optimizer():
    with pytest.raises(ArgumentError, match="'beta1'; did you mean 'beta_1'"):
        optimizers.Adam(beta1=0.9)
    with pytest.raises(ArgumentError, match="'learningrate'; did you mean 'learning_rate'"):
        optimizers.SGD(learningrate=0.9)


def test_what_compile_takes_for_the_sake_of_keras():
    model = Sequential([Input((4,)), Dense(1)])
    asked = {"run_eagerly": False, "steps_per_execution": 4, "jit_compile": False}
    model.compile("sgd", "mse", [2.0], ["mae"], **asked)
    logs = model.fit(X, Y, verbose=0).history
    assert logs["loss"][0] > 0 and list(logs) == ["loss", "mae"]


FORMS = [
    lambda a, b: {"a": a, "b": b},
    lambda a, b: (a, b),
    lambda a, b: [a, {"b": b}],
    lambda a, b: [b],
    lambda a, b: b,
]


@pytest.mark.parametrize("form", FORMS)
def test_predictions_have_the_form_that_call_returns(form):
    class Several(Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = Dense(1), Dense(2)

        def call(self, inputs):
            return form(self.a(inputs), self.b(inputs))

    model = Several()
    given = X[:5]
    whole = model.predict(given, batch_size=2, verbose=0)
    a, b = (layer(given).numpy() for layer in (model.a, model.b))
    for found in (whole, model.predict_on_batch(given)):
        assert str(found) == str(form(a, b))


def test_a_schedule_in_the_place_of_a_rate():
    decay = schedules.ExponentialDecay(0.2, 4, 0.5)
    optimizer = optimizers.SGD(0.01)
    optimizer.learning_rate = decay
    changed, logs = trained(optimizer)
    same, expected = trained(optimizers.SGD(decay))
    assert logs["loss"] == expected["loss"]
    for a, b in zip(changed.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ArgumentError, match="nor a schedule for a rate"):
        optimizer.learning_rate = 0.1
    optimizer = optimizers.SGD(0.01)
    trained(optimizer)
    with pytest.raises(ArgumentError, match="once a step is built"):
        optimizer.learning_rate = decay
    optimizer = optimizers.Rprop(0.01)
    optimizer.learning_rate = decay
    with pytest.raises(ArgumentError, match="Rprop is its first step size"):
        trained(optimizer)


class Narrow(optimizers.SGD):
    """An optimizer that takes no options."""

    def __init__(self, learning_rate=0.1, momentum=0.0, nesterov=False, name="narrow"):
        super().__init__(learning_rate, momentum, nesterov, name)


@pytest.mark.parametrize("name", sorted(optimizers.NAMES))
def test_the_configuration_of_an_optimizer_holds_all_options(name):
    optimizer = optimizers.get(name)
    config = optimizer.get_config()
    assert {"clipnorm", "global_clipnorm", "use_ema", "ema_momentum"} <= config.keys()
    assert config["weight_decay"] == (0.004 if name == "adamw" else None)
    assert type(optimizer).from_config(config).get_config() == config
    assert "clipnorm" not in repr(optimizer)
    assert "clipnorm=1.0" in repr(optimizers.SGD(clipnorm=1.0))


def test_an_optimizer_that_takes_no_options_is_made_again():
    config = Narrow(momentum=0.5).get_config()
    assert config["clipnorm"] is None
    assert Narrow.from_config(config).get_config() == config


def test_backups_of_before_know_the_optimizer():
    config = {"momentum": 0.5, "nesterov": False, "clipnorm": 1.0}
    assert fingerprint._optimizer(optimizers.SGD(0.1, 0.5, clipnorm=1.0)) == ["SGD", config]


def test_losses_among_the_metrics_and_activations_by_name():
    for name in ("mean_squared_error", "huber", "sparse_categorical_crossentropy", "hinge"):
        assert getattr(metrics, name) is getattr(losses, name)
    np.testing.assert_allclose(metrics.mean_squared_error([[1.0, 2.0]], [[1.0, 4.0]]), [2.0])
    assert activations.deserialize(activations.serialize(activations.relu)) is activations.relu
    assert activations.deserialize("mine", {"mine": ops.abs}) is ops.abs
    with pytest.raises(ArgumentError, match="did you mean 'relu'"):
        activations.deserialize("relo")


class Counting(Model):
    """A model with metrics of its own, whose results it asks for together."""

    def __init__(self):
        super().__init__()
        self.out = Dense(1)
        self.error = metrics.MeanAbsoluteError(name="error")
        self.spread = Spread()

    def call(self, inputs):
        return self.out(inputs)

    @property
    def metrics(self):
        return [self.error, self.spread]

    def train_step(self, data):
        x, y = data
        self.error.update_state(y, self(x))
        self.spread.update_state(y, self(x))
        return self.get_metrics_result()


def test_the_results_of_all_metrics():
    model = Counting()
    model.compile("sgd")
    logs = model.fit(X, Y, batch_size=32, verbose=0).history
    assert logs.keys() == {"error", "square", "twice", "batches"}
    found = model.get_metrics_result()
    assert float(found["batches"]) == 1.0
    np.testing.assert_allclose(logs["error"], np.abs(Y - model.predict(X, verbose=0)).mean(), 1e-5)


def test_data_that_does_not_fit_is_named_by_its_call():
    model, _ = trained("sgd")
    with pytest.raises(ShapeError, match="the data given to fit as validation_data"):
        model.fit(X, Y, validation_data=(X[:, :2], Y), verbose=0)
    with pytest.raises(ShapeError, match="the data given to evaluate"):
        model.evaluate(X[:, :2], Y, verbose=0)


@pytest.mark.parametrize(
    ("first", "fix"),
    [
        (1, "pass y.astype"),
        (2.5, "pass y.astype"),
        (None, "pass y.astype"),
        ("one", "encode text"),
        ([1, 2], None),
    ],
)
def test_objects_that_are_numbers_need_no_encoding(first, fix):
    y = np.empty(32, object)
    y[:] = np.arange(32)
    y[0] = first
    model, _ = trained("sgd")
    with pytest.raises(DataError, match="expected numbers") as e:
        model.fit(X, y, verbose=0)
    assert f"fix: {fix}" in str(e.value) if fix else "fix" not in str(e.value)


def test_a_model_of_several_outputs_at_the_command_line():
    inputs = Input((4,))
    model = Model(inputs, {"a": Dense(1)(inputs), "b": Dense(1)(inputs)})
    with pytest.raises(DataError, match="several outputs cannot be used"):
        Trained(model, None, None).outputs(X)
