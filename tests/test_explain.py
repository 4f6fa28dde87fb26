"""The numbers of an explanation: by hand in float64, by PyTorch, and as a step then takes them."""

from __future__ import annotations

from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, ops, optimizers, regularizers
from chainrule.errors import ArgumentError, DataError, FileError, NotBuiltError
from chainrule.insight import Explanation, explain_page
from chainrule.insight.explain_words import summary
from chainrule.layers import Dense, Input
from chainrule.models import Model, Sequential
from peers import peer

RNG = np.random.default_rng(11)
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float64")
ANSWERS = np.array([0, 1, 1, 0])
X = RNG.normal(size=(6, 5)).astype("float32")
LABELS = RNG.integers(0, 3, 6)


def xor(loss: str = "binary_crossentropy", optimizer: Any = None) -> Sequential:
    cr.utils.set_random_seed(1)
    stack = [Dense(3, activation="tanh", name="hidden"), Dense(1, "sigmoid", name="out")]
    model = Sequential([Input((2,)), *stack], name="xor")
    model.compile(optimizer or optimizers.SGD(0.5), loss)
    return model


def close(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mse"])
def test_every_number_is_that_of_a_computation_by_hand(loss: str) -> None:
    model = xor(loss)
    step = cr.explain(model, XOR, ANSWERS)
    w1, b1, w2, b2 = (w.astype("float64") for w in model.get_weights())
    y = ANSWERS[:, None]
    z1 = XOR @ w1 + b1
    a1 = np.tanh(z1)
    z2 = a1 @ w2 + b2
    a2 = 1 / (1 + np.exp(-z2))
    if loss == "mse":
        total, error2 = np.mean((a2 - y) ** 2), 2 * (a2 - y) / 4
        delta2 = error2 * a2 * (1 - a2)
    else:
        total = -np.mean(y * np.log(a2) + (1 - y) * np.log(1 - a2))
        error2, delta2 = None, (a2 - y) / 4
    error1 = delta2 @ w2.T
    delta1 = error1 * (1 - a1**2)
    assert step.loss == pytest.approx(total, rel=1e-5)
    hidden, out = step["hidden"], step["out"]
    expected = [
        (hidden, z1, a1, 1 - a1**2, error1, delta1),
        (out, z2, a2, a2 - a2**2, error2, delta2),
    ]
    for layer, sums, output, slope, error, delta in expected:
        close(layer.sums, sums)
        close(layer.output, output)
        close(layer.slope, slope)
        close(layer.delta, delta)
        if error is None:
            assert layer.error is None  # sigmoid and loss are differentiated together
        else:
            close(layer.error, error)
    gradients = [XOR.T @ delta1, delta1.sum(axis=0), a1.T @ delta2, delta2.sum(axis=0)]
    for mine, theirs in zip((*hidden.weights, *out.weights), gradients, strict=True):
        close(mine.gradient, theirs)
        close(mine.update, -0.5 * theirs)


def test_every_number_is_that_of_pytorch() -> None:
    torch = peer("torch")
    model = xor()
    step = cr.explain(model, XOR, ANSWERS)
    held = [torch.tensor(w.astype("float64"), requires_grad=True) for w in model.get_weights()]
    z1 = torch.tensor(XOR) @ held[0] + held[1]
    a1 = torch.tanh(z1)
    z2 = a1 @ held[2] + held[3]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        z2[:, 0], torch.tensor(ANSWERS * 1.0)
    )
    for value in (z1, a1, z2):
        value.retain_grad()
    loss.backward()
    close(step["hidden"].delta, z1.grad)
    close(step["hidden"].error, a1.grad)
    close(step["out"].delta, z2.grad)
    weights = [w for layer in step.layers for w in layer.weights]
    for mine, theirs in zip(weights, held, strict=True):
        close(mine.gradient, theirs.grad)
    assert step.loss == pytest.approx(loss.item(), rel=1e-6)


class Own(layers.Layer):
    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, x: Any) -> Any:
        return ops.tanh(x * self.factor)


def compiled(stack: list[Any], optimizer: Any = "adam", **how: Any) -> Sequential:
    cr.utils.set_random_seed(2)
    model = Sequential(stack)
    model.compile(optimizer, "sparse_categorical_crossentropy", **how)
    return model


def networks() -> list[tuple[Model, Any, Any]]:
    images, steps = RNG.normal(size=(6, 6, 6, 2)), RNG.normal(size=(6, 4, 3))
    words = RNG.integers(1, 7, (6, 4))
    normalized = [layers.BatchNormalization(), layers.MaxPooling2D(), layers.Flatten()]
    dropping = [layers.Conv2D(3, 3, activation="relu"), *normalized, layers.Dropout(0.4)]
    first, second = Input((5,), name="a"), Input((5,), name="b")
    shared = Dense(4, "gelu", kernel_regularizer="l2")
    both = layers.Concatenate()([shared(first), shared(second)])
    branched = Model(
        [first, second], [Dense(3, "softmax", name="kind")(both), Dense(1, name="size")(both)]
    )
    branched.compile(optimizers.SGD(0.1, momentum=0.9), ["sparse_categorical_crossentropy", "mse"])
    softmax = Dense(3, activation="softmax")
    clipped = optimizers.AdamW(0.01, global_clipnorm=0.01)
    return [
        (compiled([Input((6, 6, 2)), *dropping, softmax]), images, LABELS),
        (
            compiled([Input((4, 3)), layers.Bidirectional(layers.LSTM(2)), Dense(3, "softmax")]),
            steps,
            LABELS,
        ),
        (
            compiled(
                [
                    Input((4,)),
                    layers.Embedding(7, 3, mask_zero=True),
                    layers.GRU(3),
                    Dense(3, "softmax"),
                ]
            ),
            words,
            LABELS,
        ),
        (
            compiled([Input((5,)), Own(), layers.Activation("silu"), Dense(3, "softmax")], clipped),
            X,
            LABELS,
        ),
        (branched, [X, X + 1], [LABELS, X[:, 0]]),
    ]


@pytest.mark.parametrize("number", range(5))
def test_it_is_the_step_that_training_then_takes(number: int) -> None:
    model, x, y = networks()[number]
    step = cr.explain(model, x, y)
    assert len(step.layers) >= 3
    before = {v.name: v.numpy().astype("float64") for v in model.trainable_variables}
    trained = model.train_on_batch(x, y, return_dict=True)
    assert step.loss == pytest.approx(trained["loss"], rel=1e-6)
    moved = {v.name: v.numpy() - before[v.name] for v in model.trainable_variables}
    found = {w.name: w for layer in step.layers for w in layer.weights}
    assert set(found) == set(moved)
    for name, by in moved.items():
        np.testing.assert_allclose(found[name].update, by, rtol=1e-4, atol=1e-9)
        np.testing.assert_array_equal(found[name].value, before[name])
    for layer in step.layers:
        if layer.error is not None and layer.slope is not None:
            np.testing.assert_allclose(layer.delta, layer.error * layer.slope, rtol=1e-4, atol=1e-7)


def test_gradients_are_those_of_a_tape() -> None:
    model, x, y = networks()[3]
    step = cr.explain(model, x, y)
    with cr.GradientTape() as tape:
        loss = model.loss(y, model(x, training=True))
    weights = [w for layer in step.layers for w in layer.weights]
    for mine, theirs in zip(weights, tape.gradient(loss, model.trainable_variables), strict=True):
        close(mine.gradient, theirs)
    own, silu = step.layers[:2]
    assert own.kind == "Own" and own.sums is not None
    close(own.output, np.tanh(own.sums))
    assert silu.activation == "silu" and not silu.within
    np.testing.assert_array_equal(silu.sums, own.output)  # the input of a mere activation


def test_nothing_is_moved() -> None:
    model, x, y = networks()[0]
    model.fit(x, y, verbose=0)
    held = [*model.variables, *model.optimizer.variables, model._trainer.key]
    before = [v.numpy() for v in held]
    str(cr.explain(model, x, y))
    for v, value in zip(held, before, strict=True):
        np.testing.assert_array_equal(v.numpy(), value)


def test_before_the_first_step_no_slots_are_left() -> None:
    model = xor(optimizer=optimizers.Adam())
    cr.explain(model, XOR, ANSWERS)
    assert not model.optimizer.built_variables()


@pytest.mark.parametrize(
    "activation", ["relu", "gelu", "leaky_relu", "elu", "selu", "softplus", "hard_sigmoid", "mish"]
)
def test_sums_are_found_under_any_activation(activation: str) -> None:
    model = compiled([Input((5,)), Dense(4, activation, name="h"), Dense(3, "softmax")])
    h = cr.explain(model, X, LABELS)["h"]
    kernel, bias = (w.astype("float64") for w in model.layers[0].get_weights())
    close(h.sums, X @ kernel + bias)
    close(
        h.output,
        getattr(cr.activations, activation)(
            X @ kernel.astype("float32") + bias.astype("float32")
        ).numpy(),
    )
    assert h.activation == activation and h.within
    up, down = (
        getattr(cr.activations, activation)(h.sums.astype("float64") + e).numpy()
        for e in (1e-6, -1e-6)
    )
    np.testing.assert_allclose(h.slope, (up - down) / 2e-6, rtol=1e-3, atol=1e-5)


def test_dropout_shows_what_it_lets_through() -> None:
    model = compiled([Input((5,)), layers.Dropout(0.5, name="drop"), Dense(3, "softmax")])
    drop = cr.explain(model, X, LABELS)["drop"]
    close(drop.sums, X)
    assert set(np.unique(drop.slope)) == {0.0, 2.0}
    np.testing.assert_array_equal(drop.output, drop.sums * drop.slope)


def test_sample_weights_and_frozen_layers() -> None:
    model = xor()
    model.layers[0].trainable = False
    step = cr.explain(model, XOR, ANSWERS, np.array([0.0, 0.0, 0.0, 1.0]))
    assert not step["hidden"].weights and step["out"].weights
    delta = step["out"].delta
    assert delta is not None and not delta[:3].any() and delta[3] != 0


def test_lbfgs_has_gradients_and_no_update() -> None:
    step = cr.explain(xor(optimizer="lbfgs"), XOR, ANSWERS)
    assert all(w.update is None for layer in step.layers for w in layer.weights)
    assert "Δkernel" not in str(step) and "∂L/∂kernel" in str(step)


class Reader(HTMLParser):
    """Counts the open tags, and gathers the text in cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def test_a_small_network_shows_every_number(tmp_path: Path) -> None:
    step = cr.explain(xor(), XOR, ANSWERS)
    assert step.small
    numbers = [f"{v:.4g}" for layer in step.layers for a in layer.arrays() for v in a.ravel()]
    text = str(step).split()
    step.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    for shown in (text, reader.cells):
        missing = {n for n in numbers if n not in shown}
        assert not missing
    assert "http" not in page and "<script" not in page and "<link" not in page
    for formula in ("δ = ∂L/∂a · f'(z)", "∂L/∂kernel = xᵀ·δ", "δ·Wᵀ of out"):
        assert formula in unescape(page) and formula in str(step)
    assert step._repr_html_().startswith('<div class="chainrule-explain">')


@pytest.mark.parametrize("width", [44, 80, 120])
def test_a_terminal_of_any_width_shows_every_number(width: int) -> None:
    from rich.console import Console

    model = Sequential([Input((4, 2)), layers.LSTM(3, name="lstm"), Dense(1, name="out")])
    model.compile("sgd", "mse")
    step = cr.explain(model, RNG.normal(size=(3, 4, 2)), np.ones(3))
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(step)
    text = captured.get()
    assert all(len(line) <= width for line in text.splitlines())
    numbers = {f"{v:.4g}" for layer in step.layers for a in layer.arrays() for v in a.ravel()}
    assert not numbers - set(text.split())
    assert "columns 0 to" in text


def test_outputs_that_no_one_reads_keep_places_of_their_own() -> None:
    """Of Adam's three results one is asked for: the others must not share a place."""
    model = Sequential([Input((6, 4)), layers.DepthwiseConv1D(2)])
    model.compile("adam", "mse")
    step = cr.explain(model, RNG.normal(size=(5, 6, 4)), RNG.normal(size=(5, 5, 4)))
    (kernel, _) = step.layers[0].weights
    np.testing.assert_allclose(kernel.update, -1e-3 * np.sign(kernel.gradient), rtol=1e-2)


class Smooth(Model):
    """A loss with a penalty on the gradient by the input."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = Dense(4, activation="tanh", name="h"), Dense(1, name="out")

    def call(self, inputs: Any) -> Any:
        return self.out(self.hidden(inputs))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
        with cr.GradientTape() as tape:
            total = ops.sum(self(x, training=training))
        slope = tape.gradient(total, x)
        return ops.mean(ops.square(y_pred - ops.cast(y, "float32"))) + ops.mean(slope * slope)


def test_gradients_taken_on_the_way_are_no_layers() -> None:
    model = Smooth()
    model.compile("sgd")
    step = cr.explain(model, X, X[:, :1])
    assert [layer.name for layer in step.layers] == ["h", "out"]
    assert step.loss_name == "compute_loss"
    result = cr.check_gradients(model, X, X[:, :1])
    assert result.passed and {c.layer for c in result.layers} == {"h", "out", "loss"}
    before = model.hidden.kernel.numpy()
    model.train_on_batch(X, X[:, :1])
    moved = model.hidden.kernel.numpy() - before
    np.testing.assert_allclose(step["h"].weights[0].update, moved, rtol=1e-4, atol=1e-8)


def test_a_large_network_shows_sizes(tmp_path: Path) -> None:
    model = compiled([Input((50,)), Dense(40, "relu", name="<h&1>"), Dense(3, "softmax")])
    step = cr.explain(model, RNG.normal(size=(100, 50)), RNG.integers(0, 3, 100))
    assert not step.small and len(step.inputs[0]) == 32
    lines = str(step).splitlines()
    assert len(lines) < 10 and "<h&1> (Dense)" in lines[2]
    norm = np.linalg.norm(step["<h&1>"].weights[0].gradient)
    gradients = [w.gradient for w in step["<h&1>"].weights]
    norm = np.sqrt(sum((g.astype("float64") ** 2).sum() for g in gradients))
    assert f"{norm:.4g}" in lines[2]
    page = step._repr_html_()
    assert "&lt;h&amp;1&gt; (Dense)" in page and "<h&1>" not in page and 'class="bars"' in page
    assert cr.explain(model, RNG.normal(size=(4, 50)), np.zeros(4), numbers=5000).small


def test_numbers_that_are_not_finite_are_shown() -> None:
    model = xor()
    model.layers[1].set_weights([np.full((3, 1), np.inf), np.zeros(1)])
    step = cr.explain(model, XOR, ANSWERS)
    assert "nan" in str(step) and "nan" in step._repr_html_()
    large = cr.explain(model, XOR, ANSWERS, numbers=1)
    assert 'class="said"' in large._repr_html_()


def test_mistakes(tmp_path: Path) -> None:
    model = xor()
    with pytest.raises(NotBuiltError, match="compile"):
        cr.explain(Sequential([Input((2,)), Dense(1)]), XOR, ANSWERS)
    with pytest.raises(DataError, match="x is nan in row 1, column 0"):
        cr.explain(model, np.where(XOR[:, 1:] > 0, np.nan, XOR), ANSWERS)
    with pytest.raises(ArgumentError, match="samples"):
        cr.explain(model, XOR, ANSWERS, samples=0)
    step = cr.explain(model, XOR, ANSWERS)
    assert isinstance(step, Explanation) and "2 layers" in repr(step)
    with pytest.raises(FileError):
        step.save(tmp_path / "nowhere" / "page.html")
    with pytest.raises(ArgumentError, match="unknown layer 'hiden'; did you mean 'hidden'"):
        step["hiden"]


def gradients_by_hand(layer: Any, x: Any) -> tuple[Any, Any]:
    delta = layer.error if layer.delta is None else layer.delta
    return x.T.astype("float64") @ delta, delta.sum(axis=0)


def test_of_a_skip_connection_only_the_layers_own_part_is_its_delta() -> None:
    torch = peer("torch")
    given = Input((5,))
    h = Dense(4, name="h")(given)
    joined = layers.Add(name="add")([layers.ReLU(name="r")(h), h])
    model = Model(given, Dense(1, name="o")(joined))
    model.compile("sgd", "mse")
    step = cr.explain(model, X, X[:, 0])
    w = [torch.tensor(v.astype("float64")) for v in model.get_weights()]
    z = (torch.tensor(X.astype("float64")) @ w[0] + w[1]).requires_grad_()
    into = z.detach().clone().requires_grad_()
    a = torch.relu(into)
    a.retain_grad()
    loss = torch.mean((((a + z) @ w[2] + w[3])[:, 0] - torch.tensor(X[:, 0])) ** 2)
    loss.backward()
    r = step["r"]
    close(r.error, a.grad)
    close(r.delta, into.grad)
    close(step["h"].error, into.grad + z.grad)
    assert r.source == "from add" and "δ = ∂L/∂a · f'(z)" in str(step)


def heads() -> list[tuple[Model, Any]]:
    """Sigmoids whose loss begins at the sums, and whose outputs something else takes as well."""
    penalized = Dense(1, "sigmoid", activity_regularizer=regularizers.L2(0.1), name="p")
    one = Sequential([Input((5,)), penalized])
    one.compile("sgd", "binary_crossentropy")
    given = Input((5,))
    p = Dense(1, "sigmoid", name="p")(given)
    two = Model(given, [p, Dense(1, name="q")(p)])
    two.compile("sgd", ["binary_crossentropy", "mse"])
    return [(one, LABELS % 2), (two, [LABELS % 2, LABELS % 2])]


@pytest.mark.parametrize("number", range(2))
def test_where_loss_and_layers_take_a_head_delta_is_the_sum(number: int) -> None:
    model, y = heads()[number]
    step = cr.explain(model, X, y)
    p, target = step["p"], (LABELS % 2)[:, None]
    by_loss = (p.output.astype("float64") - target) / len(X)
    close(p.delta, p.error * p.slope + by_loss)
    kernel, bias = gradients_by_hand(p, X)
    close(p.weights[0].gradient, kernel)
    close(p.weights[1].gradient, bias)
    assert "δ = ∂L/∂a · f'(z) + ∂L/∂z past a" in str(step)


class Scaled(Model):
    """A weight of the model's own, and one of a layer's, that no layer reads."""

    def __init__(self) -> None:
        super().__init__(name="scaled")
        self.first, self.last = Dense(3, name="first"), Dense(1, name="last")

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight((3,), "ones", name="scale")

    def call(self, x: Any) -> Any:
        return self.last(self.first(x) * self.scale)


@pytest.mark.parametrize("name", ["dense", "convolutional", "own"])
def test_no_weight_is_left_out(name: str) -> None:
    if name == "dense":
        steps = layers.TimeDistributed(Dense(2, "tanh"), name="steps")
        stack, shape = [steps, layers.LSTM(3), Dense(1)], (4, 5)
    elif name == "convolutional":
        steps = layers.TimeDistributed(layers.Conv2D(2, 3, activation="relu"), name="steps")
        stack, shape = [steps, layers.Flatten(), Dense(1)], (2, 6, 6, 2)
    model = Scaled() if name == "own" else Sequential([Input(shape), *stack])
    model.compile("sgd", "mse")
    x = X if name == "own" else RNG.normal(size=(6, *shape))
    step = cr.explain(model, x, X[:, 0])
    held = {w.name: w for layer in step.layers for w in layer.weights}
    assert set(held) == {v.name for v in model.trainable_variables}
    assert len(held) == sum(len(layer.weights) for layer in step.layers)
    with cr.GradientTape() as tape:
        loss = model.loss(X[:, :1], model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    for v, gradient in zip(model.trainable_variables, gradients, strict=True):
        close(held[v.name].gradient, gradient)
    home = "scaled" if name == "own" else "steps"
    assert len(step[home].weights) == (1 if name == "own" else 2)
    assert step.layers[-1].name == "scaled" or name != "own"
    assert home in str(step) and home in step._repr_html_()


def test_formulas_say_what_else_adds_to_a_gradient() -> None:
    penalized = Dense(4, name="h", kernel_regularizer=regularizers.L2(1.0))
    model = Sequential([Input((5,)), penalized, Dense(1, name="o")])
    model.compile("sgd", "mse")
    step = cr.explain(model, X, X[:, 0])
    kernel, bias = gradients_by_hand(step["h"], X)
    close(step["h"].weights[0].gradient, kernel + 2 * step["h"].weights[0].value)
    close(step["h"].weights[1].gradient, bias)
    text = str(step)
    assert text.count("∂L/∂kernel = xᵀ·∂L/∂a + its penalty") == 1
    assert text.count("its penalty") == 1
    given, shared = Input((5,)), Dense(5, "tanh", name="twice")
    model = Model(given, Dense(1, name="o")(shared(shared(given))))
    model.compile("sgd", "mse")
    text = str(cr.explain(model, X, X[:, 0], numbers=200))
    assert text.count("+ that of its other uses") == 2 and "penalty" not in text
    assert "other uses" not in str(cr.explain(xor(), XOR, ANSWERS))


class Halves(layers.Layer):
    def call(self, x: Any) -> Any:
        return x[:, :2] * 2.0, x[:, 2:] * 3.0


def test_a_layer_with_several_outputs_shows_each() -> None:
    given = Input((4, 3))
    lstm = layers.LSTM(4, return_sequences=True, return_state=True, name="enc")
    sequence, last, _ = lstm(given)
    both = layers.Concatenate(name="cat")([last, layers.Flatten(name="flat")(sequence)])
    model = Model(given, Dense(1, name="o")(both))
    model.compile("sgd", "mse")
    step = cr.explain(model, RNG.normal(size=(6, 4, 3)), X[:, 0])
    first, second = step["enc"], step["enc [1]"]
    assert first.output.shape == (6, 4, 4) and second.output.shape == (6, 4)
    np.testing.assert_array_equal(first.output[:, -1], second.output)
    cat = step["cat"].error
    assert cat is not None
    close(second.error, cat[:, :4])
    close(np.reshape(first.error, (6, 16)), cat[:, 4:])
    assert len(first.weights) == 3 and not second.weights
    given = Input((5,))
    left, right = Halves(name="halves")(given)
    model = Model(given, Dense(1)(layers.Concatenate()([right, left])))
    model.compile("sgd", "mse")
    step = cr.explain(model, X, X[:, 0])
    close(step["halves"].output, 2 * X[:, :2])
    close(step["halves [1]"].output, 3 * X[:, 2:])
    mixed = compiled([Input((5,)), layers.MixUp(0.4, name="mix"), Dense(3, "softmax", name="o")])
    assert [layer.name for layer in cr.explain(mixed, X, LABELS).layers] == ["mix", "o"]


def test_the_summary_shows_what_is_not_finite() -> None:
    model = compiled([Input((5,)), Dense(4, "relu", name="h"), Dense(3, "softmax", name="o")])
    model.layers[0].set_weights([np.full((5, 4), np.nan), np.zeros(4)])
    step = cr.explain(model, X, LABELS)
    cells = next(line for line in str(step).splitlines() if "h (Dense)" in line).split()
    assert cells.count("nan") >= 5
    softmax = next(line for line in summary(step.layers) if line[0] == "o (Dense)")
    assert softmax[4] == "" and softmax[5] == ""  # no slope, no error signal
    lbfgs = cr.explain(xor(optimizer="lbfgs"), XOR, ANSWERS)
    assert all(line[-2:] == ("", "") for line in summary(lbfgs.layers))


@pytest.mark.parametrize("name", ["it's", 'a "b"', "both ' and \"", "o[/x]", "[b]bold", "back\\"])
def test_names_stand_as_they_are(name: str) -> None:
    model = Sequential([Input((5,)), Dense(2, name=name), Dense(1, name="o")])
    model.compile("sgd", "mse")
    step = cr.explain(model, X, X[:, 0])
    assert step[name].kind == "Dense" and len(step[name].weights) == 2
    assert f"{name} (Dense)" in str(step) and f"{name} (Dense)" in unescape(step._repr_html_())
    result = cr.check_gradients(model, X, X[:, 0])
    assert {c.layer for c in result.weights} == {name, "o"}
    rows = cr.tuning.check_initialization(model, np.tile(X, (3, 1)), np.ones(18)).rows
    assert [row.layer for row in rows] == [name, "o"]


class Marked(layers.Layer):
    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape[1:], name="<img src=x onerror=alert(1)>")

    def call(self, x: Any) -> Any:
        return x * self.w


def test_names_of_weights_are_no_html() -> None:
    model = Sequential([Input((5,)), Marked(name="<b>"), Dense(1)])
    model.compile("sgd", "mse")
    page = cr.explain(model, X, X[:, 0])._repr_html_()
    assert "<img" not in page and "&lt;img" in page


@pytest.mark.parametrize(
    "numbers", [[0.3, 0.1 * 3], [1e300, -1e300, 5.0], [0.0], [5e-324, 0.0], [-2.0, 7.0, np.inf]]
)
def test_bars_of_any_numbers(numbers: list[float]) -> None:
    page = explain_page._bars(np.repeat(numbers, 30))
    assert page.count("<i ") == 24 and "height:100.0%" in page and "nan%" not in page


def test_bars_are_a_histogram() -> None:
    held = RNG.normal(size=500)
    counts = np.histogram(held, 24)[0]
    assert np.abs(explain_page._counts(held, held.min(), held.max()) - counts).sum() <= 2
    close_together = np.where(np.arange(40) % 2, 0.3, 0.1 * 3)
    assert explain_page._counts(close_together, 0.3, 0.1 * 3)[0] == 40
