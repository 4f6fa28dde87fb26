"""The doctor's parts: looks at layers, trials on the side, curves, flat places, any model."""

from types import SimpleNamespace

import numpy as np
import pytest

import chainrule
from chainrule import initializers as init
from chainrule import losses, ops
from chainrule.callbacks import GradientDoctor
from chainrule.errors import ArgumentError, DataError
from chainrule.insight import (
    check_gradients,
    diagnose,
    explain,
    hessian_eigenvalues,
    objective,
    rules_flat,
)
from chainrule.insight.case import Case
from chainrule.insight.culprits import culprit
from chainrule.insight.evidence import Evidence, chance_of
from chainrule.insight.layer_look import LayerLook, Look, look_at
from chainrule.insight.rules_flat import on_flat
from chainrule.insight.rules_later import on_steps
from chainrule.insight.rules_layers import on_layers
from chainrule.insight.rules_loss import on_loss
from chainrule.insight.rules_signals import on_signals
from chainrule.insight.trials import STEPS, Trials, rate_of
from chainrule.layers import (
    GRU,
    LSTM,
    Add,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Input,
    LayerNormalization,
    ReLU,
    SimpleRNN,
    TimeDistributed,
)
from chainrule.models import Model, Sequential
from chainrule.optimizers import LBFGS, SGD, Adam
from chainrule.optimizers.schedules import ExponentialDecay
from chainrule.training.looks import SUMMARY
from chainrule.training.trainer import Snapshot
from chainrule.utils import set_random_seed

pytestmark = pytest.mark.filterwarnings("ignore::chainrule.errors.InitializationWarning")

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((120, 6)).astype("float32")
WAVE = np.tanh(X).sum(axis=1)
CLASS = (X[:, :2].sum(axis=1) > 0).astype(int)
SEQUENCES = RANDOM.standard_normal((120, 5, 3)).astype("float32")
IMAGES = RANDOM.standard_normal((60, 8, 8, 1)).astype("float32")


def stack(*layers, optimizer="adam", loss="mse"):
    set_random_seed(1)
    model = Sequential(list(layers))
    model.compile(optimizer, loss)
    return model


def case_of(model, x=X, y=WAVE, batch_size=20):
    batches = model._collect_targets("fit", x, y)
    model._build_for(batches.x)
    return Case.of_batches(model._trainer, batches, batch_size)


def trials_of(model, x=X, y=WAVE):
    case = case_of(model, x, y)
    trainer = model._trainer
    return Trials(trainer, case.sample, 20, Snapshot(trainer), rate_of(trainer.optimizer))


def evidence(model, curve=(), x=X, y=WAVE, per_epoch=6, statistics=None):
    """What is known of a run with this curve; the weights are as they were at first."""
    case = case_of(model, x, y)
    trainer = model._trainer
    first = look_at(trainer, case.sample)
    return Evidence(case, first, list(curve), per_epoch, statistics, trials_of(model, x, y))


def test_what_layers_do_by_hand():
    hidden = Dense(4, "relu", name="h", bias_initializer=init.Constant([0.0, 0.0, 0.0, -99.0]))
    model = stack(Input((6,)), hidden, Dense(3, "tanh", name="t"), Dense(1, name="out"))
    look = look_at(model._trainer, case_of(model).sample)
    w1, b1, w2, b2, w3, b3 = (v.astype(float) for v in model.get_weights())
    h = np.maximum(X @ w1 + b1, 0)
    t = np.tanh(h @ w2 + b2)
    y = t @ w3 + b3
    delta = 2 * (y[:, 0] - WAVE)[:, None] / len(X)
    found = {layer.name: layer for layer in look.layers}
    assert [*found] == ["h", "t", "out"] and look.rows == 120
    assert found["h"].dead == (~h.any(axis=0)).mean() >= 0.25 and np.isnan(found["t"].dead)
    assert np.isclose(found["t"].saturated, (np.abs(t) > 0.99).mean())
    assert np.isclose(found["h"].spread, np.sqrt(h.var(0).mean()), rtol=1e-5)
    assert np.isclose(found["out"].error, np.linalg.norm(delta), rtol=1e-4)
    assert np.isclose(found["h"].gain, np.linalg.norm(w1) / 2, rtol=1e-6)
    pull = np.linalg.norm(t.T @ delta) * np.linalg.norm(w3) / look.loss
    assert np.isclose(found["out"].pull, pull, rtol=1e-4)
    assert np.isclose(look.loss, np.square(y[:, 0] - WAVE).mean(), rtol=1e-5)


@pytest.mark.parametrize("layer", [SimpleRNN, LSTM])
def test_recurrent_units_that_are_one(layer):
    same = init.Constant(0.1)
    given = {"kernel_initializer": same, "recurrent_initializer": same, "name": "r"}
    model = stack(Input((5, 3)), layer(4, **given), Dense(1, kernel_initializer=same))
    assert look_at(model._trainer, case_of(model, SEQUENCES).sample).layers[0].alike
    model = stack(Input((5, 3)), layer(4, name="r"), Dense(1))
    assert not look_at(model._trainer, case_of(model, SEQUENCES).sample).layers[0].alike


def test_what_knowing_nothing_costs():
    classes = RANDOM.choice(3, 120, p=[0.6, 0.3, 0.1])
    shares = np.bincount(classes) / 120
    entropy = -(shares * np.log(shares)).sum()

    def chance(loss, y, units=3, activation="softmax"):
        model = stack(Input((6,)), Dense(units, activation), loss=loss)
        return chance_of(case_of(model, X, y))

    assert np.isclose(chance("sparse_categorical_crossentropy", classes), entropy)
    assert np.isclose(chance("categorical_crossentropy", np.eye(3)[classes]), entropy)
    p = CLASS.mean()
    binary = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert np.isclose(chance("binary_crossentropy", CLASS, 1, "sigmoid"), binary)
    assert np.isclose(chance("mse", WAVE, 1, None), WAVE.var())
    assert np.isclose(chance("mae", WAVE, 1, None), np.abs(WAVE - np.median(WAVE)).mean())
    assert chance(losses.MeanSquaredError("sum"), WAVE, 1, None) is None
    assert chance("cosine_similarity", X, 6, None) is None


def test_trials_take_everything_back():
    model = stack(Input((6,)), Dense(8, "relu"), Dropout(0.2), Dense(1), optimizer=Adam(0.01))
    model.fit(X, WAVE, epochs=1, verbose=0)
    trials = trials_of(model)
    before = [v.numpy() for v in model._trainer.state()]
    epoch = model._trainer.epoch
    still, mine = trials.end(0.0), trials.end(0.01)
    assert mine < still and trials.losses(0.01) is trials.losses(0.01)
    assert trials.end(1e8) == np.inf and trials.best[1] <= mine * 1.2
    assert trials.led_out(0.01) < still
    after = [v.numpy() for v in model._trainer.state()]
    assert all(map(np.array_equal, before, after)) and epoch == model._trainer.epoch


def test_a_trial_is_what_fit_does():
    model = stack(Input((6,)), Dense(8, "tanh"), Dense(1), optimizer=SGD(0.05))
    losses_ = trials_of(model).losses(0.05)
    history = model.fit(X, WAVE, 20, STEPS // 6, verbose=0).history["loss"]
    assert np.allclose(losses_.reshape(-1, 6).mean(axis=1), history, rtol=1e-6)


def test_rates_of_schedules():
    assert rate_of(SGD(0.25)) == 0.25
    assert np.isclose(rate_of(SGD(ExponentialDecay(0.5, 10, 0.1))), 0.5)
    assert np.isclose(rate_of(SGD(lambda step: 0.01 * step)), 0.01 * STEPS)
    assert np.isnan(rate_of(SGD(lambda step: "fast")))


def test_the_mean_rate_of_a_run():
    model = stack(Input((6,)), Dense(1), optimizer=SGD(ExponentialDecay(0.5, 10, 0.1)))
    trials = trials_of(model)
    for steps in (2, 40, 4000):
        rates = 0.5 * 0.1 ** (np.arange(steps) / 10)
        assert trials.mean(steps) == pytest.approx(rates.mean(), rel=0.2)
    trials.first = 40
    assert trials.mean(40) == pytest.approx(0.5 * 1e-4 * 0.1 ** (np.arange(40) / 10).mean(), rel=9)
    assert trials_of(stack(Input((6,)), Dense(1), optimizer=SGD(0.2))).mean(90) == 0.2


def test_a_rate_that_runs_off_with_finite_numbers():
    model = stack(Input((6,)), Dense(16, "relu"), Dense(1), optimizer=Adam(30.0))
    e = evidence(model, [90.0, 80.0, 70.0])
    assert np.isfinite(e.trials.losses(30.0)).all() and len(e.trials.losses(30.0)) < STEPS
    (found,) = [f for f in on_loss(e) if f.kind == "learning_rate_too_high"]
    assert "runs off within" in found.evidence and "no number" not in found.evidence


@pytest.mark.parametrize(
    ("curve", "kinds"),
    [
        ([3.0, 3.0, 3.0, 3.0], ["loss_not_decreasing"]),
        ([9.0, 3.0, 3.0, 3.0], ["loss_not_decreasing"]),
        ([3.0, 2.9, 2.8, 2.7], []),  # goes on
        ([3.0, 1.0, 0.5, 0.4], []),
        ([3.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0], ["oscillation"]),
        ([3.0, 2.0, 1.0, 0.5, 0.52, 0.49, 0.5, 0.48, 0.49, 0.47], []),
        ([3.0, 2.0, 0.1, 0.02, 0.04, 0.01, 0.03, 0.01, 0.04, 0.02], []),  # of small numbers
    ],
)
def test_curves(curve, kinds):
    model = stack(Input((6,)), Dense(8, "relu"), Dense(1), optimizer=Adam(0.02))
    e = evidence(model, curve, per_epoch=60)
    e.__dict__.update(chance=3.0, moved=0.5)
    assert [finding.kind for finding in on_loss(e)] == kinds


def test_statistics_say_since_when_and_how_far():
    class Looks(SimpleNamespace):
        def __len__(self):
            return len(self.steps)

    s = Looks(
        layers=(SimpleNamespace(name="h"),),
        weights=(SimpleNamespace(name="h.kernel", shape=(6, 8)),),
        steps=np.array([0, 1, 2, 4]),
        dead=np.array([[0.0], [0.5], [0.95], [1.0]]),
        activation=np.zeros((4, 1), SUMMARY),
        ratio=np.array([[1e-3], [3e-3], [np.nan], [2e-3]]),
    )
    s.activation["saturated"][3] = 0.9
    e = evidence(stack(Input((6,)), Dense(8, "relu", name="h"), Dense(1)), statistics=s)
    assert e.since("dead", "h", 0.9) == 2 and e.since("dead", "other", 0.9) is None
    assert e.since("saturated", "h", 0.5) == 4 and np.isclose(e.ratio, 2e-3)


def test_a_gradient_that_grows_on_the_way():
    class Looks(SimpleNamespace):
        def __len__(self):
            return len(self.steps)

    s = Looks(
        weights=(SimpleNamespace(layer="h"), SimpleNamespace(layer="out")),
        steps=np.array([0, 1, 2, 4, 8, 16]),
        gradient=np.zeros((6, 2), SUMMARY),
    )
    s.gradient["norm"] = [[1, 1], [1, 2], [1, 1], [2, 1], [1, 1], [9e3, 5]]
    model = stack(Input((6,)), Dense(8, "relu", name="h"), Dense(1, name="out"))
    (finding,) = on_steps(evidence(model, [9.0, 9.0], statistics=s))
    assert (finding.kind, finding.layer, finding.step) == ("exploding_gradient", "h", 16)
    assert not list(on_steps(evidence(model, [9.0, 0.1], statistics=s)))
    s.gradient["norm"][5] = np.inf
    assert not list(on_steps(evidence(model, [9.0, 9.0], statistics=s)))


def test_the_layer_that_alone_is_at_fault():
    layers = [LayerLook(f"h{i}", "relu", 1.0, 1.0, gain=1.0) for i in range(5)]
    assert culprit(layers, "h2", min).name == "h2"
    layers[3] = LayerLook("h3", "relu", 1.0, 1.0, gain=1e-4)
    assert culprit(layers, "h0", min).name == "h3"
    layers[1] = LayerLook("h1", "relu", 1.0, 1.0, gain=500.0)
    assert culprit(layers, "h0", max).name == "h1"


def test_a_kernel_that_does_not_shrink_is_not_at_fault():
    looks = [LayerLook("in", "tanh", 1.0, 1e-9, gain=2.8)]
    looks += [LayerLook(f"t{i}", "tanh", 1.0, 1e-8, gain=0.4 + i / 100) for i in range(5)]
    assert culprit(looks, "in", min).name == "t0"
    sigmoids = [LayerLook(f"s{i}", "sigmoid", 1.0, 1e-8, gain=1.2 - i / 5) for i in range(5)]
    assert culprit(sigmoids, "s0", min).name == "s0"


def test_a_kernel_that_does_not_enlarge_is_not_at_fault():
    looks = [LayerLook("in", "linear", 1.0, 90.0, gain=0.7)]
    looks += [LayerLook(f"h{i}", "relu", 1.0, 9.0 - i, gain=3.5 + i / 10) for i in range(5)]
    assert culprit(looks, "in", max).name == "h4"
    assert culprit(looks[1:], "h0", max).name == "h0"


def test_a_signal_that_is_lost_only_counts_where_nothing_is_learnt():
    model = stack(Input((6,)), *(Dense(8, "sigmoid") for _ in range(9)), Dense(1))
    kinds = {f.kind for f in on_signals(evidence(model, [3.5, 3.5, 3.5]))}
    assert kinds == {"vanishing_gradient"}
    assert not list(on_signals(evidence(model, [3.0, 1.0, 0.2])))


def test_a_dead_layer_in_a_wrapper():
    dead = Dense(8, "relu", bias_initializer=init.Constant(-99.0))
    model = stack(Input((5, 3)), TimeDistributed(dead, name="each"), Flatten(), Dense(1))
    e = evidence(model, [3.5, 3.5], SEQUENCES)
    assert [(f.kind, f.layer) for f in on_layers(e)] == [("dead_relu", "each")]
    assert np.isclose(e.first.layers[0].gain, np.linalg.norm(dead.kernel.numpy()) / np.sqrt(8))


@pytest.mark.parametrize("shape", [BatchNormalization, LayerNormalization])
def test_a_layer_that_a_normalization_holds_dead(shape):
    low = shape(beta_initializer=init.Constant(-9.0), name="n")
    model = stack(Input((6,)), Dense(8, name="h"), low, ReLU(name="r"), Dense(1))
    (finding,) = on_layers(evidence(model, [3.5, 3.5]))
    assert (finding.kind, finding.layer) == ("dead_relu", "r")
    assert "'n'" in str(finding.cause) and "beta" in str(finding.remedy)
    assert finding.change["layer"] == "n" and finding.change["beta_initializer"] == "zeros"
    behind = Dense(8, "relu", name="d", bias_initializer=init.Constant(-99.0))
    model = stack(Input((6,)), Dense(8), shape(), behind, Dense(1))
    (finding,) = on_layers(evidence(model, [3.5, 3.5]))
    assert finding.change["layer"] == "d" and "biases" in str(finding.remedy)


def test_of_a_few_samples_no_layer_is_called_dead():
    dead = Dense(8, "relu", bias_initializer=init.Constant(-99.0))
    model = stack(Input((6,)), dead, Dense(1))
    for samples, kinds in ((1, set()), (7, set()), (8, {"dead_relu"})):
        e = evidence(model, [3.5, 3.5], X[:samples], WAVE[:samples])
        assert {f.kind for f in on_layers(e)} == kinds


def test_signals_that_branches_make_grow():
    def network(deviation, depth=12):
        set_random_seed(1)
        x = h = Input((6,))
        for i in range(depth):
            kernels = init.RandomNormal(stddev=deviation, seed=i)
            h = Add()([h, Dense(6, "relu", kernel_initializer=kernels)(h)])
        model = Model(x, Dense(1)(h))
        model.compile("adam", "mse")
        return model

    steep = [9e5, 9e4, 9e3]  # it falls still, and far
    (finding,) = on_signals(evidence(network(0.8), steep))
    assert finding.kind == "bad_initialization_scale" and finding.numbers["times"] > 30
    assert "BatchNormalization" in str(finding.remedy)
    assert not list(on_signals(evidence(network(0.8), [9e5, 1.0, 0.1])))  # and learns
    assert not list(on_signals(evidence(network(0.4), steep)))
    assert not list(on_signals(evidence(network(0.8, 2), steep)))


def test_layers_that_died_later_are_told_with_their_step():
    model = stack(Input((6,)), Dense(8, "relu", name="h"), Dense(1))
    e = evidence(model, [3.5, 3.5])
    model.layers[-2].bias.assign(np.full(8, -1e3, "float32"))
    assert look_at(model._trainer, e.case.sample).layers[0].dead == 1
    (finding,) = [f for f in on_layers(e) if f.kind == "dead_relu"]
    assert finding.step != 0 and "optimizer.learning_rate" in finding.change
    assert isinstance(e.first, Look)


def test_saddles_plateaus_and_minima(monkeypatch):
    x = RANDOM.standard_normal((100, 2))
    x = np.linalg.qr(x - x.mean(axis=0))[0] * 10  # white
    y = x * np.array([3.0, 2.0])

    def linear(depth, off):
        root = np.diag([3.0 ** (1 / depth), off])
        made = [Dense(2, use_bias=False, kernel_initializer="zeros") for _ in range(depth)]
        model = stack(Input((2,)), *made, optimizer=SGD(0.01))
        model.set_weights([root] * depth)
        return evidence(model, [2.0] * 6, x, y)

    (finding,) = on_flat(linear(2, 1e-6))
    assert finding.kind == "saddle_point" and finding.numbers["smallest"] < -1.9
    # Of u v x the curvature at u = v = 0 is the slope of the loss by the product: -2 * 2 / 2.
    assert np.isclose(finding.numbers["smallest"], -2.0, rtol=1e-3)
    (finding,) = on_flat(linear(3, 1e-3))
    assert finding.kind == "plateau"
    assert not list(on_flat(linear(2, 2.0**0.5)))  # a minimum
    e = linear(2, 1e-6)
    e.losses = [2.0, 1.9, 1.8, 1.7, 1.6, 1.5]
    assert not list(on_flat(e))  # goes on

    def infinite(*given):
        raise DataError("the curvature of the loss is not finite at these weights")

    monkeypatch.setattr(rules_flat, "spectrum", infinite)
    assert not list(on_flat(linear(2, 1e-6)))


def functional():
    a, b = Input((6,), name="a"), Input((6,), name="b")
    hidden = Dense(8, "relu")(Concatenate()([a, b]))
    model = Model([a, b], [Dense(2, "softmax", name="k")(hidden), Dense(1, name="v")(hidden)])
    model.compile(SGD(1e-9), ["sparse_categorical_crossentropy", "mse"])
    return model


class Own(Model):
    def __init__(self):
        super().__init__()
        self.one, self.two = Dense(4, "relu"), Dense(1)
        self.compile(SGD(1e9))

    def call(self, x):
        return self.two(self.one(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(y_pred - ops.reshape(y, (-1, 1))))


def endless():
    while True:
        yield X[:16], WAVE[:16]


LOW, HIGH = SGD(1e-9), 1e9
MODELS = {
    "several": (functional, ([X, X], [CLASS, WAVE]), {}),
    "own loss": (Own, (X, WAVE), {}),
    "drawn": (
        lambda: stack(Input((6,)), Dense(1), optimizer=SGD(HIGH)),
        (endless,),
        {"steps_per_epoch": 5},
    ),
    "one sample": (lambda: stack(Input((6,)), Dense(1)), (X[:1], WAVE[:1]), {}),
    "two samples": (
        lambda: stack(Dense(3, "relu"), Dense(1), optimizer=SGD(HIGH)),
        (X[:2], WAVE[:2]),
        {},
    ),
    "states that go on": (
        lambda: stack(
            Input(batch_shape=(20, 5, 3)), LSTM(4, stateful=True), Dense(1), optimizer=SGD(1e-9)
        ),
        (SEQUENCES, WAVE),
        {"batch_size": 20},
    ),
    "both ways": (
        lambda: stack(Input((5, 3)), Bidirectional(LSTM(4)), Dense(1), optimizer=SGD(HIGH)),
        (SEQUENCES, WAVE),
        {},
    ),
    "noise": (
        lambda: stack(
            Input((8, 8, 1)), GaussianNoise(0.1), Conv2D(4, 3, activation="relu"), Flatten(),
            Dropout(0.3), Dense(1), optimizer=SGD(1e-9),
        ),
        (IMAGES, WAVE[:60]),
        {},
    ),
    "weights": (
        lambda: stack(Input((6,)), Dense(1, "sigmoid"), loss="binary_crossentropy"),
        (X, CLASS),
        {"class_weight": {0: 1.0, 1: 3.0}, "validation_split": 0.2},
    ),
    "accumulated": (
        lambda: stack(
            Input((6,)), Dense(1), optimizer=Adam(1e-9, gradient_accumulation_steps=3, use_ema=True)
        ),
        (X, WAVE),
        {},
    ),
    "skipping": (
        lambda: stack(Dense(3, "relu"), Dense(1), optimizer=SGD(1e20, skip_nonfinite=True)),
        (X, WAVE),
        {"steps_per_epoch": 3},
    ),
    "all at once": (
        lambda: stack(Input((6,)), Dense(1), optimizer=LBFGS()),
        (X, WAVE),
        {"batch_size": 120},
    ),
    "rate 0": (lambda: stack(Input((6,)), Dense(1), optimizer=SGD(0.0)), (X, WAVE), {}),
}  # fmt: skip


def test_flat_places_need_no_second_derivative_of_long_layers(monkeypatch):
    asked = []
    monkeypatch.setitem(objective._MAKE, "product", lambda step: asked.append(step))
    model = stack(Input((5, 3)), GRU(4), Dense(1), optimizer=SGD(0.01))
    exact = objective.Objective(model._trainer, case_of(model, SEQUENCES).sample, 64, exact=False)
    way = np.ones(exact.size)
    measured = exact.product(exact.weights, way)
    assert not asked
    monkeypatch.undo()
    twice = objective.Objective(model._trainer, case_of(model, SEQUENCES).sample, 64)
    assert np.allclose(measured, twice.product(twice.weights, way), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("look", [diagnose, explain, check_gradients, hessian_eigenvalues])
def test_what_is_no_model(look):
    with pytest.raises(ArgumentError, match="was given a Dense; expected a compiled model first"):
        look(Dense(3), X, WAVE)


@pytest.mark.parametrize("name", MODELS)
def test_all_kinds_of_models_are_looked_at_and_not_changed(name):
    made, data, options = MODELS[name]
    data = tuple(part() if callable(part) else part for part in data)
    runs = []
    for callbacks in ([], [GradientDoctor()]):
        set_random_seed(1)
        model = made()
        given = tuple(endless() for _ in data) if name == "drawn" else data
        history = model.fit(*given, epochs=4, verbose=0, callbacks=callbacks, **options).history
        runs.append((history, [v.numpy() for v in model._trainer.state()]))
    assert str(runs[0][0]) == str(runs[1][0])
    for a, b in zip(runs[0][1], runs[1][1], strict=True):
        assert np.array_equal(a, b, equal_nan=True)


@pytest.mark.parametrize("name", ["several", "own loss", "states that go on", "all at once"])
def test_a_diagnosis_leaves_the_model(name):
    made, data, options = MODELS[name]
    model = made()
    model.fit(*data, epochs=1, verbose=0, **options)
    before = [v.numpy() for v in model._trainer.state()]
    history, epoch = model.history, model._trainer.epoch
    result = chainrule.diagnose(model, *data, batch_size=20)
    assert all(
        np.array_equal(a, v.numpy(), equal_nan=True)
        for a, v in zip(before, model._trainer.state(), strict=True)
    )
    assert model.history is history and model._trainer.epoch == epoch
    assert result.steps == (0 if name == "all at once" else 96) and not model.stop_training


def test_what_a_diagnosis_says():
    def network(rate):
        return stack(Input((6,)), Dense(16, "relu"), Dense(1), optimizer=Adam(rate))

    result = chainrule.diagnose(network(0.01), X, WAVE)
    assert result.healthy and "nothing was found wrong in" in str(result)
    assert repr(result) == "<Diagnosis: healthy>"
    result = chainrule.diagnose(network(1e-7), X, WAVE)
    assert repr(result) == "<Diagnosis: learning_rate_too_low>"
    assert ("remedy" in str(result) and "96" in str(result)) or result.steps
    with pytest.raises(chainrule.ChainruleError, match="steps"):
        chainrule.diagnose(network(0.01), X, WAVE, steps=0)
