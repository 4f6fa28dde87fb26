"""Gradients against differences: right for what the package has, wrong where something is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, losses, ops, regularizers
from chainrule.errors import ArgumentError, DataError, GraphError, NotBuiltError, ShapeError
from chainrule.graph import registry
from chainrule.insight import GradientCheck, check_gradients
from chainrule.insight.slopes import compared
from chainrule.layers import Dense, Input
from chainrule.models import Model, Sequential

RNG = np.random.default_rng(5)
X = RNG.normal(size=(12, 6)).astype("float32")
LABELS = RNG.integers(0, 3, 12)
IMAGES = RNG.normal(size=(6, 8, 8, 2)).astype("float32")
STEPS = RNG.normal(size=(6, 5, 3)).astype("float32")
WORDS = RNG.integers(0, 9, (6, 5))
WORDS[:, 3:] = 0


def compiled(stack: list[Any], loss: Any = "sparse_categorical_crossentropy") -> Sequential:
    model = Sequential(stack)
    model.compile("sgd", loss)
    return model


def head(*stack: Any) -> Sequential:
    return compiled([*stack, Dense(3, activation="softmax")])


def dense() -> tuple[Model, Any, Any]:
    hidden = Dense(5, activation="tanh", kernel_regularizer=regularizers.L1L2(0.01, 0.02))
    return head(Input((6,)), hidden, Dense(4, "gelu", activity_regularizer="l2")), X, LABELS


def images() -> tuple[Model, Any, Any]:
    stack = [
        layers.Conv2D(3, 3, activation="relu", padding="same"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.SeparableConv2D(4, 2, activation="elu"),
        layers.GroupNormalization(2),
        layers.Conv2DTranspose(2, 2, strides=2),
        layers.SpatialDropout2D(0.3),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.4),
    ]
    return head(Input((8, 8, 2)), *stack), IMAGES, LABELS[:6]


def recurrent() -> tuple[Model, Any, Any]:
    stack = [
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(4, return_sequences=True, dropout=0.2),
        layers.SimpleRNN(3, activation="relu"),
    ]
    return head(Input((5, 3)), *stack), STEPS, LABELS[:6]


def masked() -> tuple[Model, Any, Any]:
    stack = [layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3, return_sequences=True)]
    return head(Input((5,)), *stack, layers.GRU(3)), WORDS, LABELS[:6]


def attending() -> tuple[Model, Any, Any]:
    given = Input((5, 3))
    seen = layers.MultiHeadAttention(2, 4)(given, given)
    found = layers.LayerNormalization()(layers.Add()([given, seen]))
    model = Model(given, Dense(3, "softmax")(layers.GlobalAveragePooling1D()(found)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model, STEPS, LABELS[:6]


def branched() -> tuple[Model, Any, Any]:
    left, right = Input((6,), name="left"), Input((6,), name="right")
    shared = Dense(4, activation="sigmoid", name="shared")
    both = layers.Concatenate()([shared(left), shared(right)])
    outputs = {"kind": Dense(3, "softmax")(both), "size": Dense(1)(both)}
    model = Model([left, right], outputs)
    both_losses = {"kind": "sparse_categorical_crossentropy", "size": "huber"}
    model.compile("sgd", both_losses, loss_weights={"kind": 0.5, "size": 2.0})
    return model, [X, X[::-1]], {"kind": LABELS, "size": X[:, :1]}


class Residual(Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = Dense(6, activation="swish"), Dense(3)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.out(inputs + self.inner(ops.stop_gradient(inputs) * ops.tanh(inputs)))


def own() -> tuple[Model, Any, Any]:
    model = Residual()
    model.compile("sgd", losses.CategoricalFocalCrossentropy(from_logits=True))
    return model, X, np.eye(3)[LABELS]


def mixed() -> tuple[Model, Any, Any]:
    model = compiled([Input((6,)), layers.MixUp(0.4), Dense(3, "softmax")])
    return model, X, LABELS


@pytest.mark.parametrize(
    "made", [dense, images, recurrent, masked, attending, branched, own, mixed]
)
def test_what_the_package_has_is_right(made: Any) -> None:
    cr.utils.set_random_seed(4)
    model, x, y = made()
    result = check_gradients(model, x, y, elements=2)
    assert result.passed, str(result)
    every = (*result.layers, *result.weights)
    assert all(c.off < 1e-5 or abs(c.said) < 1e-6 for c in every)
    assert all(c.verdict == "right" for c in every)
    assert len(result.weights) == len(model.trainable_variables)
    assert {c.layer for c in result.weights} < {c.layer for c in result.layers}


def test_nothing_is_moved() -> None:
    model, x, y = images()
    model.fit(x, y, verbose=0)
    before = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    key = model._trainer.key.numpy()
    assert check_gradients(model, x, y).passed
    after = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(model._trainer.key.numpy(), key)
    assert model.fit(x, y, verbose=0).history["loss"]


def test_sample_weights_and_a_model_in_float64() -> None:
    cr.utils.set_random_seed(1)
    stack = [Input((6,)), Dense(4, "tanh", dtype="float64"), Dense(3, "softmax", dtype="float64")]
    result = check_gradients(compiled(stack), X, LABELS, np.linspace(0, 2, 12))
    assert result.passed and not any(c.verdict == "rough" for c in result.weights)


def test_a_kink_is_passed_by() -> None:
    """All inputs 0 and biases 0: every relu stands on its kink."""
    model = compiled([Input((6,)), Dense(4, "relu", name="h"), Dense(2)], "mse")
    result = check_gradients(model, np.zeros((4, 6)), np.ones((4, 2)))
    assert result.passed, str(result)


class Scale(layers.Layer):
    """Its own derivative, times the `share` of it by the input, and by the weight."""

    def __init__(self, by_input: float = 1.0, by_weight: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.shares = by_input, by_weight

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, x: Any) -> Any:
        @ops.custom_gradient
        def scaled(x: Any, w: Any) -> Any:
            def gradient(upstream: Any) -> Any:
                along = ops.sum(upstream * x, axis=0)
                return upstream * w * self.shares[0], along * self.shares[1]

            return x * w, gradient

        return scaled(x, self.factor)


def scaled(**options: Any) -> Sequential:
    stack = [Input((6,)), Dense(5, "tanh", name="h1"), Scale(name="own", **options)]
    return head(*stack, Dense(4, "tanh", name="h2"))


@pytest.mark.parametrize(
    ("options", "by"),
    [
        ({"by_input": -1.0}, "the output of h1"),
        ({"by_input": 1.001}, "the output of h1"),
        ({"by_input": 0.0}, "the output of h1"),
        ({"by_weight": 2.0}, "the weight 'own.factor'"),
    ],
)
def test_the_layer_at_fault_is_named_and_no_other(options: Any, by: str) -> None:
    result = check_gradients(scaled(**options), X, LABELS)
    assert result.wrong == ("own",) and not result.passed
    assert [c.by for c in result.layers if c.verdict == "wrong"] == [by]
    share = next(iter(options.values()))
    assert next(c for c in result.layers if c.verdict == "wrong").ratio == pytest.approx(share)
    assert f"layer 'own' (Scale): its derivative by {by} is wrong" in str(result)
    moved = {c.by for c in result.weights if c.verdict == "wrong"}
    behind = {"the weight 'h1.kernel'", "the weight 'h1.bias'"}
    assert moved == (behind if "by_input" in options else {"the weight 'own.factor'"})


def test_a_layer_of_ones_own_that_is_right_passes() -> None:
    assert check_gradients(scaled(), X, LABELS).passed


@pytest.mark.parametrize("inner", [Sequential, lambda stack: stack[0]])
def test_within_a_model_within_the_model(inner: Any) -> None:
    block = inner([Scale(by_input=0.5, name="own")])
    model = head(Input((6,)), Dense(5, name="h1"), block)
    (wrong,) = check_gradients(model, X, LABELS).wrong
    assert wrong.split("/")[-1] == "own"


def test_a_loss_of_ones_own() -> None:
    @ops.custom_gradient
    def squared(d: Any) -> Any:
        return ops.square(d), lambda upstream: upstream * d  # it should be twice that

    model = compiled([Input((6,)), Dense(3)], lambda t, p: ops.mean(squared(p - t), axis=-1))
    result = check_gradients(model, X, X[:, :3])
    assert result.wrong == ("loss",)
    assert "loss: its derivative by the output of" in str(result)


def test_a_rule_of_the_engine_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    softplus = registry()["softplus"]
    rule = softplus._vjp
    assert rule is not None

    def broken(g: Any, y: Any, x: Any) -> Any:
        (right,) = rule(g, y, x)
        return (ops.multiply(right, 1.1),)

    monkeypatch.setattr(softplus, "_vjp", broken)
    model = head(Input((6,)), Dense(4, "tanh"), Dense(4, "softplus", name="bad"))
    assert check_gradients(model, X, LABELS).wrong == ("bad",)


def test_a_straight_through_step_is_told() -> None:
    @ops.custom_gradient
    def rounded(x: Any) -> Any:
        return ops.round(x), lambda upstream: upstream

    model = head(Input((6,)), Dense(4), layers.Lambda(rounded, name="steps"))
    result = check_gradients(model, X, LABELS)
    assert result.wrong == ("steps",)
    row = next(c for c in result.layers if c.verdict == "wrong")
    assert row.measured == 0.0 and row.ratio == float("inf")


def test_mistakes() -> None:
    model = head(Input((6,)))
    with pytest.raises(ArgumentError, match="tolerance is 2"):
        check_gradients(model, X, LABELS, tolerance=2)
    with pytest.raises(ArgumentError, match="samples"):
        check_gradients(model, X, LABELS, samples=0)
    with pytest.raises(NotBuiltError, match="compile"):
        check_gradients(Sequential([Input((6,)), Dense(3)]), X, LABELS)
    with pytest.raises(DataError, match="x is nan in row 11"):
        bad = X.copy()
        bad[11, 2] = np.nan
        check_gradients(model, bad, LABELS, samples=6)
    with pytest.raises(DataError, match="label 7"):
        check_gradients(model, X, LABELS + 5 * (LABELS == 2))

    class Own(Sequential):
        def train_step(self, data: Any) -> Any:
            return {}

    model = Own([Input((6,)), Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="train_step of its own"):
        check_gradients(model, X, X[:, :3])


def test_what_a_line_says() -> None:
    assert compared(lambda t: t * t + t, lambda t: 2 * t + 1, 1e-5).verdict == "right"
    assert compared(lambda t: abs(t), lambda t: 1.0 if t > 0 else -1.0, 1e-5).verdict == "right"
    assert compared(lambda t: 3 * t, lambda t: 0.0, 1e-5).verdict == "wrong"
    assert compared(lambda t: float("nan"), lambda t: 1.0, 1e-5).verdict == "rough"
    assert compared(lambda t: 0.0, lambda t: 0.0, 1e-5).off == 0.0
    rough = compared(lambda t: np.floor(1e7 * t) * 1e-7 + 1e9, lambda t: 1.0, 1e-5)
    assert rough.verdict != "wrong"


@pytest.mark.parametrize("slope", [-2.3e-6, 0.0])
def test_agreement_within_rounding_says_nothing(slope: float) -> None:
    """Beside 1e6 a float64 keeps no digit of such a slope."""
    way = -7.6e-7
    assert compared(lambda t: way * t + 1e6, lambda t: slope, 1e-5).verdict == "rough"
    large = compared(lambda t: way * t + 1.0, lambda t: 3 * way, 1e-5)
    assert large.verdict == "wrong" and large.measured == pytest.approx(way, rel=1e-3)


def test_zero_but_for_rounding_is_right() -> None:
    """Of a bias before a batch normalization, say."""
    noise = np.random.default_rng(0)
    found = compared(lambda t: 1 + 1e-16 * noise.choice([-2, 0, 2]), lambda t: 3e-17, 1e-5)
    assert found.verdict == "right" and found.off == 0


def test_wrong_at_one_place_alone_is_not_told() -> None:
    broken = compared(lambda t: t if abs(t) < 2e-3 else float("nan"), lambda t: 2.0, 1e-5)
    assert broken.verdict == "rough"


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-3])
def test_beside_a_large_constant_no_innocent_layer_is_named(scale: float) -> None:
    @ops.custom_gradient
    def squared(d: Any) -> Any:
        return ops.square(d) + 1e6, lambda upstream: upstream * 6.0 * d  # three times what it is

    cr.utils.set_random_seed(3)
    stack = [Input((6,)), Dense(1, name="o")]
    model = compiled(stack, lambda t, p: ops.mean(squared(p - t), axis=-1))
    result = check_gradients(model, X * scale, X[:, 0] * scale)
    assert result.wrong in (("loss",), ())
    row = next(c for c in result.layers if c.layer == "loss")
    assert row.verdict == ("rough" if scale == 1e-3 else "wrong")


def test_where_nothing_can_be_told_nothing_is_right() -> None:
    model = compiled([Input((6,)), Dense(1, name="o")], "mse")
    model.layers[0].set_weights([np.full((6, 1), np.nan), np.zeros(1)])
    result = check_gradients(model, X, X[:, 0])
    assert {c.verdict for c in (*result.layers, *result.weights)} == {"rough"}
    assert not result.passed and not result.wrong
    assert "nothing could be told" in str(result).splitlines()[-1]
    assert repr(result).endswith("nothing could be told>")


def test_the_words_for_nothing_wrong() -> None:
    result = check_gradients(head(Input((6,)), Dense(4, "tanh")), X, LABELS)
    assert isinstance(result, GradientCheck) and repr(result).endswith("right>")
    assert str(result).splitlines()[-1] == "the gradients are right to 1e-05"


# Functions with a gradient of their own.


@ops.custom_gradient
def log1pexp(x: Any) -> Any:
    e = ops.exp(x)

    def grad(*args: Any, upstream: Any = None) -> Any:
        if upstream is None:
            (upstream,) = args
        return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1, e))

    return ops.log(1 + e), grad


def test_custom_gradient_is_what_keras_has() -> None:
    x = cr.Variable([0.0, 100.0, -3.0])
    with cr.GradientTape() as outer:
        with cr.GradientTape() as tape:
            y = ops.sum(log1pexp(x))
        first = tape.gradient(y, x)
    np.testing.assert_allclose(first, 1 / (1 + np.exp(-x.numpy().astype("float64"))), rtol=1e-6)
    second = outer.gradient(first, x).numpy()
    assert second[0] == pytest.approx(0.25)


def test_custom_gradient_trains_the_same_in_every_loop() -> None:
    def small() -> Sequential:
        cr.utils.set_random_seed(2)
        return compiled([Input((6,)), Dense(5, "tanh"), Scale(), Dense(2)], "mse")

    fitted, model = small(), small()
    fitted.fit(X, X[:, :2], epochs=3, batch_size=4, shuffle=False, verbose=0)
    for _ in range(3):
        for i in range(0, 12, 4):
            with cr.GradientTape() as tape:
                loss = model.loss(X[i : i + 4, :2], model(X[i : i + 4], training=True))
            moved = model.trainable_variables
            model.optimizer.apply_gradients(zip(tape.gradient(loss, moved), moved, strict=True))
    for a, b in zip(fitted.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert not np.allclose(model.get_weights()[2], 1.0)  # the factor has learnt


def test_custom_gradient_of_several_arrays() -> None:
    @ops.custom_gradient
    def both(pair: Any, factor: float) -> Any:
        a, b = pair

        def grad(first: Any, second: Any) -> Any:
            return 10.0 * first, 100.0 * second, None

        return (a + b, a * factor), grad

    a, b = cr.Variable([1.0]), cr.Variable([2.0])
    with cr.GradientTape() as tape:
        total, product = both([a, b], 3.0)
        y = ops.sum(total) + 2.0 * ops.sum(product)
    assert float(y) == 9.0
    assert [float(g) for g in tape.gradient(y, [a, b])] == [10.0, 200.0]
    with cr.GradientTape() as tape:
        y = ops.sum(both([a, b], 3.0)[0])
    assert [float(g) for g in tape.gradient(y, [a, b])] == [10.0, 0.0]


def test_custom_gradient_may_turn_a_gradient_round() -> None:
    turned = ops.custom_gradient(lambda x: (x, lambda *, upstream: -upstream))
    x = cr.Variable([2.0])
    with cr.GradientTape() as tape:
        y = ops.sum(ops.square(turned(x)))
    assert float(y) == 4.0 and tape.gradient(y, x).numpy() == [-4.0]


def test_mistakes_in_custom_gradients() -> None:
    x, w = cr.Variable([1.0, 2.0]), cr.Variable([3.0], name="w")
    with pytest.raises(ArgumentError, match=r"must return \(output, grad\)"):
        ops.custom_gradient(lambda x: x * 2.0)(x)
    with pytest.raises(ArgumentError, match=r"has 2 parts, but .* was given 1"):
        ops.custom_gradient(lambda x: (x, lambda g: (g, g)))(x)
    with pytest.raises(ShapeError, match=r"shape \[\] for an argument of shape \[2\]"):
        ops.custom_gradient(lambda x: (x, lambda g: ops.sum(g)))(x)
    with pytest.raises(GraphError, match="reads the weight 'w'"):
        ops.custom_gradient(lambda x: (x * w, lambda g: g))(x)
    held = ops.custom_gradient(lambda x: (x * ops.stop_gradient(w), lambda g: g))
    assert held(x).numpy().tolist() == [3.0, 6.0]
    with pytest.raises(GraphError, match="make it a layer"):
        ops.custom_gradient(lambda x: (x, lambda g: g))(Input((2,)))
