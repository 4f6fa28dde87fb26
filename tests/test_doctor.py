"""The doctor: planted faults are named with layer and remedy, training is not changed by a bit."""

import numpy as np
import pytest

from chainrule import initializers as init
from chainrule import ops
from chainrule.callbacks import (
    BackupAndRestore,
    Callback,
    GradientDoctor,
    LearningRateScheduler,
)
from chainrule.datasets import digits
from chainrule.errors import ArgumentError
from chainrule.insight import KINDS, Finding
from chainrule.insight.finding import explains, ranked
from chainrule.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Flatten,
    Input,
    Layer,
)
from chainrule.models import Sequential
from chainrule.optimizers import SGD, Adam
from chainrule.optimizers.schedules import CosineDecay, ExponentialDecay
from chainrule.utils import set_random_seed
from doctor_cases import by_kind

pytestmark = pytest.mark.filterwarnings("ignore::chainrule.errors.InitializationWarning")

(IMAGES, LABELS), _ = digits.load_data()
X, Y = (IMAGES[:1200] / 255.0).astype("float32"), LABELS[:1200]


def relu(units, **options):
    return Dense(units, activation="relu", **options)


def network(hidden, optimizer, out="glorot_uniform"):
    set_random_seed(0)
    last = Dense(10, activation="softmax", kernel_initializer=out, name="out")
    model = Sequential([Flatten(input_shape=(28, 28), name="flat"), *hidden, last])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def examined(model, x=X, y=Y, epochs=3, **options):
    doctor = GradientDoctor()
    model.fit(x, y, epochs=epochs, verbose=0, callbacks=[doctor], **options)
    for finding in doctor.findings:
        assert finding.kind in KINDS and finding.evidence and finding.remedy
        assert finding.kind.replace("_", " ") in str(finding) and finding.remedy in str(finding)
        assert str(Finding.from_dict(finding.to_dict()).to_dict()) == str(finding.to_dict())
    return by_kind(doctor.findings)


LARGE, WIDE = init.VarianceScaling(60.0), init.RandomNormal(stddev=5.0)
# Each with the right layer and what the remedy changes.
FAULTS = {
    "vanishing_gradient": (
        lambda: network([Dense(32, "sigmoid", name=f"s{i}") for i in range(10)], SGD(0.1)),
        "s0",
        "layers",
    ),
    "exploding_gradient": (
        lambda: network(
            [
                relu(64, kernel_initializer=init.VarianceScaling(60.0), name=f"h{i}")
                for i in range(6)
            ],
            SGD(1e-3),
        ),
        "h0",
        "layers",
    ),
    "dead_relu": (
        lambda: network(
            [relu(64, bias_initializer=init.Constant(-30.0), name="dead"), relu(8)], SGD(0.05)
        ),
        "dead",
        "layer",
    ),
    "symmetric_initialization": (
        lambda: network(
            [Dense(64, "tanh", kernel_initializer="zeros", name="zero")], SGD(0.1), "zeros"
        ),
        "zero",
        "layer",
    ),
    "saturated_activation": (
        lambda: network(
            [
                relu(16),
                Dense(
                    64, "tanh", kernel_initializer=init.RandomNormal(stddev=5.0), name="flat_ends"
                ),
            ],
            SGD(0.01),
        ),
        "flat_ends",
        "layer",
    ),
    "bad_initialization_scale": (
        lambda: network(
            [relu(32), relu(32, kernel_initializer=init.RandomNormal(stddev=30.0), name="wide")],
            SGD(1e-4),
        ),
        "wide",
        "layers",
    ),
    "learning_rate_too_high": (
        lambda: network([relu(64)], SGD(20.0)),
        None,
        "optimizer.learning_rate",
    ),
    "learning_rate_too_low": (
        lambda: network([relu(64)], Adam(1e-7)),
        None,
        "optimizer.learning_rate",
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_planted_faults_are_named_with_layer_and_remedy(kind):
    made, layer, change = FAULTS[kind]
    found = examined(made())
    assert kind in found, list(found)
    assert found[kind].layer == layer and change in found[kind].change
    assert "loss_not_decreasing" not in found


@pytest.mark.parametrize(
    ("hidden", "optimizer"),
    [
        (lambda: [relu(128)], lambda: Adam(1e-3)),
        (lambda: [relu(64), relu(64)], lambda: SGD(0.1)),
        (lambda: [Dense(64, "tanh")], lambda: SGD(0.05, momentum=0.9)),
        (lambda: [relu(32), BatchNormalization(), Dropout(0.3)], lambda: Adam(3e-3)),
        (lambda: [], lambda: SGD(0.1)),
    ],
)
def test_healthy_runs_are_left_alone(hidden, optimizer):
    assert not examined(network(hidden(), optimizer()))


@pytest.mark.parametrize("rate", ["learning_rate_too_high", "learning_rate_too_low"])
def test_the_rate_that_is_proposed_makes_the_network_learn(rate):
    made = FAULTS[rate][0]
    better = examined(made())[rate].change["optimizer.learning_rate"]
    model = made()
    model.optimizer.learning_rate = better
    assert not examined(model)
    assert model.evaluate(X, Y, verbose=0)[1] > 0.8


def with_chance(rate):
    """A network that draws numbers and keeps means, at a rate at which it hardly learns."""
    hidden = [relu(16), BatchNormalization(), Dropout(0.3)]
    return network(hidden, Adam(ExponentialDecay(rate, 10, 0.9)))


@pytest.mark.parametrize("rate", [1e-3, 1e-7, 10.0])
def test_training_is_not_changed_by_a_bit(rate):
    runs = []
    for callbacks in ([], [GradientDoctor()]):
        model = with_chance(rate)
        history = model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks).history
        again = model.fit(X, Y, epochs=1, verbose=0).history
        state = [v.numpy() for v in model._trainer.state()]
        runs.append((history, again, state, model.predict(X[:9], verbose=0)))
    (history, again, state, outputs), (other, other_again, other_state, other_outputs) = runs
    assert history == other and again == other_again
    assert len(state) == len(other_state)
    for a, b in zip([*state, outputs], [*other_state, other_outputs], strict=True):
        assert np.array_equal(a, b, equal_nan=True)


class Killed(BaseException):
    """Stands for the end of a process."""


class Kill(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise Killed


def test_findings_go_on_over_a_resume(tmp_path):
    made = FAULTS["learning_rate_too_low"][0]
    whole = examined(made(), epochs=4)
    with pytest.raises(Killed):
        callbacks = [GradientDoctor(), Kill(), BackupAndRestore(tmp_path)]
        made().fit(X, Y, epochs=4, verbose=0, callbacks=callbacks)
    doctor = GradientDoctor()
    callbacks = [doctor, Callback(), BackupAndRestore(tmp_path)]
    made().fit(X, Y, epochs=4, verbose=0, callbacks=callbacks)
    assert doctor.findings == list(whole.values()) and doctor.findings


def test_what_is_printed(capsys):
    model = FAULTS["dead_relu"][0]()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[GradientDoctor(verbose=1)])
    out = capsys.readouterr().out
    assert out.count("dead relu in layer 'dead' at step 0") == 1 and "remedy" in out
    assert "cause" in out and "100%" in out


@pytest.mark.parametrize("statistics", ["often", 0, -1, 2.5, True, None])
def test_mistakes(statistics):
    with pytest.raises(ArgumentError, match="statistics is"):
        GradientDoctor(statistics)
    with pytest.raises(ArgumentError, match="pass it as a callback"):
        GradientDoctor().on_train_begin()


def test_findings_are_ranked_without_consequences():
    early = Finding("dead_relu", "h1", "e", "r", step=0)
    late = Finding("dead_relu", "h1", "e", "r", step=120)
    high = Finding("learning_rate_too_high", None, "e", "r", step=0)
    slow = Finding("loss_not_decreasing", None, "e", "r")
    assert ranked([slow, high, early]) == [early]
    assert ranked([slow, high, late]) == [high]
    assert ranked([slow, slow]) == [slow]
    assert ranked([high, Finding("non_finite", "h1", "e", "r")])[0].kind == "non_finite"
    assert not explains(slow, high)
    assert len(set(KINDS)) == 27
    lost = Finding("vanishing_gradient", "h0", "e", "r", step=0)
    assert ranked([late, lost]) == [lost]
    assert ranked([Finding("dead_relu", "h1", "e", "r"), lost]) == [lost]
    assert early in ranked([early, Finding("exploding_gradient", "h0", "e", "r", step=0)])


def apart(activation, layers, out="glorot_uniform", rate=0.1, **options):
    """A network whose activations are layers of their own."""
    hidden = []
    for i in range(layers):
        hidden += [Dense(32, name=f"d{i}", **options), Activation(activation, name=f"a{i}")]
    return network(hidden, SGD(rate), out)


def test_activations_that_are_layers_of_their_own():
    found = examined(apart("sigmoid", 10))["vanishing_gradient"]
    assert "slope of a sigmoid" in found.cause and found.remedy.startswith("use relu")
    assert found.change["layers"] == [f"a{i}" for i in range(10)]
    assert found.change["activation"] == "relu" and "kernel_initializer" not in found.change
    found = examined(apart("tanh", 1, rate=0.01, kernel_initializer=WIDE))["saturated_activation"]
    assert found.layer == "a0" and found.change["layer"] == "d0" and "nan" not in found.cause
    found = examined(apart("relu", 1, bias_initializer=init.Constant(-30.0)))["dead_relu"]
    assert found.layer == "a0" and found.change["layer"] == "d0"
    found = examined(apart("relu", 6, rate=1e-3, kernel_initializer=LARGE))["exploding_gradient"]
    assert found.change["kernel_initializer"] == "he_normal"


@pytest.mark.parametrize(
    ("rate", "callbacks"),
    [
        (ExponentialDecay(0.01, 5, 0.3), []),
        (CosineDecay(0.1, 5), []),
        (1e-3, [LearningRateScheduler(lambda epoch: 1e-3 * 0.01**epoch)]),
    ],
)
def test_rates_that_are_lowered_too_soon(rate, callbacks):
    doctor = GradientDoctor()
    model = network([relu(32)], SGD(rate))
    model.fit(X, Y, epochs=5, verbose=0, callbacks=[*callbacks, doctor])
    (found,) = doctor.findings
    assert found.kind == "learning_rate_too_low" and "lowered too soon" in found.cause
    assert ("count batches" in found.remedy) is not bool(callbacks)


def test_rates_that_are_lowered_in_time():
    assert examined(network([relu(64)], Adam(ExponentialDecay(5e-3, 40, 0.5))), epochs=6) == {}


class Logarithm(Layer):
    def call(self, x):
        return ops.log(x)


class Masked(Layer):
    """``exp(where(x > 1, x, -inf))``: infinities that do no harm."""

    def call(self, x):
        return ops.exp(ops.where(ops.greater(x, 1.0), x, -np.inf))


POSITIVE = np.abs(np.random.default_rng(0).standard_normal((300, 4))).astype("float32") + 0.1
TARGET = POSITIVE @ np.array([1.0, -1.0, 0.5, 2.0], "float32")


def regression(*first, loss="mse", rate=0.01):
    set_random_seed(0)
    model = Sequential([Input((4,)), *first, relu(8, name="h"), Dense(1, name="out")])
    model.compile(SGD(rate), loss)
    return model


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("epochs", [1, 3])
def test_the_first_number_that_is_not_finite_is_located(shuffle, epochs):
    x = POSITIVE.copy()
    x[211, 2] = 0.0
    model = regression(Masked(name="masked"), Logarithm(name="own"))
    x[211] = 0.0  # behind the mask exp(-inf) = 0, whose logarithm is not finite
    finite = np.maximum(x, 1.5)
    finite[211] = 0.0
    doctor = GradientDoctor()
    model.fit(finite, TARGET, 25, epochs, 0, callbacks=[doctor], shuffle=shuffle)
    found = next(f for f in doctor.findings if f.kind == "non_finite")
    assert found.layer == "own" and "'log'" in found.evidence and "row 211" in found.evidence
    assert found.numbers["row"] == 211
    if not shuffle:
        assert found.step == 211 // 25


def test_a_loss_and_weights_that_run_off():
    def own(y, p):
        return ops.mean(ops.square(ops.log(p) - y), axis=-1)

    found = examined(regression(loss=own), POSITIVE, TARGET)["non_finite"]
    assert found.layer is None and "in the loss" in found.evidence and found.step == 0
    found = examined(regression(rate=50.0), POSITIVE, TARGET)
    assert "weights had grown" in found["non_finite"].cause
    assert "learning_rate_too_high" in found


def test_steps_of_ones_own_are_left_alone():
    class Own(Sequential):
        def train_step(self, data):
            return super().train_step(data)

    model = Own([Input((4,)), Dense(1)])
    model.compile(SGD(1e-9), "mse")
    examined(model, POSITIVE, TARGET)


class Length(Layer):
    """``sqrt(sum x^2)``, whose slope at 0 is infinite."""

    def call(self, x):
        return ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))


@pytest.mark.parametrize(("batch_size", "epochs"), [(50, 1), (300, 1), (300, 3)])
def test_a_step_with_a_finite_loss_that_spoils_the_weights(batch_size, epochs):
    x = POSITIVE.copy()
    x[277] = 0.0
    model = regression(Dense(3, use_bias=False), Length(name="length"))
    doctor = GradientDoctor()
    options = {"callbacks": [doctor], "shuffle": False}
    model.fit(x, TARGET, batch_size, epochs, 0, **options)  # in the last step, or an epoch's last
    found = next(f for f in doctor.findings if f.kind == "non_finite")
    assert found.layer == "length" and "row 277" in found.evidence
    assert found.step == 277 // batch_size


class Rooted(Layer):
    """``x sqrt(w)``."""

    def build(self, shape):
        self.w = self.add_weight((4, 3), "ones", name="w")

    def call(self, x):
        return ops.matmul(x, ops.sqrt(self.w))


def test_a_row_of_a_weight_is_no_sample():
    model = regression(Rooted(name="rooted"), rate=5.0)
    doctor = GradientDoctor()
    model.fit(POSITIVE, TARGET, 4, 3, 0, callbacks=[doctor])  # 4 rows of either
    found = next(f for f in doctor.findings if f.kind == "non_finite")
    assert found.layer == "rooted" and "'sqrt'" in found.evidence
    assert "row" not in found.numbers and "sample" not in found.evidence
