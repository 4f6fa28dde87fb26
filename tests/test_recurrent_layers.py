"""Recurrent layers: values and gradients beside Keras and PyTorch, states, dropout, files."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import layers, ops
from chainrule.callbacks import BackupAndRestore
from chainrule.errors import ArgumentError, ChainruleError, ShapeError
from chainrule.models import Model, Sequential, load_model
from peers import peer
from recurrent_cases import GATES, KINDS, Arrays, Case, close, cotangents, drawn, ours, weights_for

# Cases of a sweep: CHAINRULE_SWEEP=500 for all that was ever looked at.
SWEEP = int(os.environ.get("CHAINRULE_SWEEP", "0"))
# NumPy about Keras's variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def values(x: Any) -> Arrays:
    return [y.numpy() for y in x] if isinstance(x, list) else [x.numpy()]


# Beside other frameworks.


def of_keras(case: Case, weights: Arrays, seed: int) -> tuple[Arrays, Arrays]:
    """What Keras's layer puts out, and its gradients by x, states and weights."""
    keras, jax = peer("keras"), peer("jax")
    layer = case.made(keras.layers)
    layer.build(case.x.shape)
    layer.set_weights(weights)
    fixed = [v.value for v in layer.non_trainable_variables]

    def total(x: Any, states: Any, held: Any) -> Any:
        named = {k: v for k, v in case.given().items() if k != "initial_state"}
        named |= {"initial_state": list(states)} if states else {}
        found, _ = layer.stateless_call(held, fixed, x, **named)
        outputs = list(found) if isinstance(found, list | tuple) else [found]
        weighed = cotangents([np.zeros(y.shape) for y in outputs], seed)
        return sum((y * g).sum() for y, g in zip(outputs, weighed, strict=True)), outputs

    held = [v.value for v in layer.trainable_variables]
    by, outputs = jax.grad(total, (0, 1, 2), has_aux=True)(case.x, case.states, held)
    return [np.array(y) for y in outputs], [np.array(g) for g in (by[0], *by[1], *by[2])]


@pytest.mark.parametrize("seed", range(SWEEP or 8))
def test_values_and_gradients_are_keras_s(seed: int) -> None:
    case = drawn(seed)
    outputs, slopes, weights = ours(case.made(layers), case, seed)
    wanted, theirs = of_keras(case, weights, seed)
    close(outputs, wanted, case)
    close(slopes, theirs, case)


def of_torch(case: Case, weights: Arrays, seed: int) -> tuple[Arrays, Arrays]:
    """The same of PyTorch, with its order of gates, and its two biases."""
    torch = peer("torch")
    kind = "RNN" if case.kind == "SimpleRNN" else case.kind
    net = getattr(torch.nn, kind)(case.x.shape[2], case.units, batch_first=True).double()
    leaves = [torch.tensor(w, dtype=torch.double, requires_grad=True) for w in weights]
    x = torch.tensor(case.x, dtype=torch.double, requires_grad=True)
    states = [torch.tensor(s, dtype=torch.double, requires_grad=True) for s in case.states]
    order = [1, 0, 2] if kind == "GRU" else list(range(GATES[case.kind]))

    def turned(w: Any) -> Any:
        """Their rows of our columns."""
        parts = w.split(case.units, dim=-1)
        return torch.cat([parts[i] for i in order], dim=-1).movedim(-1, 0)

    bias = leaves[2] if leaves[2].ndim == 2 else torch.stack([leaves[2], 0 * leaves[2]])
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    given = [turned(w) for w in (leaves[0], leaves[1], bias[0], bias[1])]
    first = [s[None] for s in states] or [
        torch.zeros(1, len(x), case.units, dtype=torch.double)
    ] * 2
    back = case.options["go_backwards"]
    hidden = (first[0], first[1]) if kind == "LSTM" else first[0]
    sequence = x.flip(1) if back else x
    y, last = torch.func.functional_call(
        net, dict(zip(names, given, strict=True)), (sequence, hidden)
    )
    last = list(last) if kind == "LSTM" else [last]
    outputs = [y if case.options["return_sequences"] else y[:, -1]]
    outputs += [s[0] for s in last] if case.options["return_state"] else []
    weighed = cotangents([y.detach().numpy() for y in outputs], seed)
    total = sum((y * torch.tensor(g)).sum() for y, g in zip(outputs, weighed, strict=True))
    slopes = torch.autograd.grad(total, [x, *states, *leaves])
    return [y.detach().numpy() for y in outputs], [g.numpy() for g in slopes]


@pytest.mark.parametrize("seed", range(SWEEP or 40))
def test_values_and_gradients_are_pytorch_s(seed: int) -> None:
    case = drawn(seed, plain=True)
    outputs, slopes, weights = ours(case.made(layers), case, seed)
    wanted, theirs = of_torch(case, weights, seed)
    close(outputs, wanted, case)
    close(slopes, theirs, case)


# A cell at each step, and whole sequences at once.


@pytest.mark.parametrize("seed", range(SWEEP or 24))
def test_cells_step_by_step_are_the_whole_sequence(seed: int) -> None:
    case = replace(drawn(seed), both_ways=False)
    case.states = case.states[: 2 if case.kind == "LSTM" else 1]
    case.training = bool(seed // 3 % 2)
    if case.training:  # each draws the same from its seed
        case.options |= {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 7}
    whole = case.made(layers)
    flags = {
        k: case.options.pop(k) for k in list(case.options) if k.startswith(("ret", "go", "ze"))
    }
    cell = getattr(layers, f"{case.kind}Cell")(case.units, **case.options)
    outputs, slopes, weights = ours(whole, case, seed)
    wanted, theirs, _ = ours(layers.RNN(cell, **flags), case, seed, weights)
    close(outputs, wanted, case)
    close(slopes, theirs, case)


def test_stacked_cells_are_stacked_layers() -> None:
    keras, rng = peer("keras"), np.random.default_rng(0)
    x, mask = rng.standard_normal((3, 5, 4)).astype("float32"), rng.random((3, 5)) < 0.6
    found = []
    weights: Arrays = []
    for kind in (layers, keras.layers):
        cells = [kind.SimpleRNNCell(4), kind.GRUCell(2), kind.LSTMCell(3)]
        layer = kind.RNN(kind.StackedRNNCells(cells), return_sequences=True, return_state=True)
        layer(x)
        weights = weights or weights_for(layer, 1)
        layer.set_weights(weights)
        y, *states = layer(x, mask=mask)
        flat = [s for part in states for s in (part if isinstance(part, list | tuple) else [part])]
        found.append([np.array(v) for v in (y, *flat)])
    close(found[0], found[1], "stacked")
    alone = Sequential([layers.Input((5, 4)), layers.SimpleRNN(4, return_sequences=True)])
    alone.add(layers.GRU(2, return_sequences=True))
    alone.add(layers.LSTM(3))
    alone.set_weights(weights)
    last = layers.RNN([layers.SimpleRNNCell(4), layers.GRUCell(2), layers.LSTMCell(3)])
    last.build_for((None, 5, 4))
    last.set_weights(weights)
    np.testing.assert_allclose(last(x).numpy(), alone.predict(x, verbose=0), atol=1e-6)


class Minimal(layers.Layer):
    """A cell of the user's own with one state: Keras's guide."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.state_size = units

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight((input_shape[-1], self.units), "ones", name="kernel")

    def call(self, x: Any, states: Any) -> Any:
        y = x @ self.kernel + 0.5 * states[0]
        return y, [y]


class Two(Minimal):
    """One with two states of other sizes than the output, and first states of its own."""

    def __init__(self, units: int) -> None:
        super().__init__(units)
        self.state_size, self.output_size = [1, units], units

    def get_initial_state(self, batch_size: int) -> Any:
        return [ops.ones((batch_size, 1)), ops.zeros((batch_size, self.units))]

    def call(self, x: Any, states: Any) -> Any:
        count, total = states
        total = total + x @ self.kernel
        return total / count, [count + 1.0, total]


def test_cells_of_ones_own() -> None:
    x = np.arange(12.0).reshape(1, 4, 3)
    y = layers.RNN(Minimal(2), return_sequences=True)(x).numpy()
    sums, h = x.sum(-1), 0.0
    for i in range(4):
        h = sums[0, i] + 0.5 * h
        np.testing.assert_allclose(y[0, i], h)
    mask = np.array([[True, False, True, True]])
    y, count, total = layers.RNN(Two(2), return_sequences=True, return_state=True)(x, mask=mask)
    means = [sums[0, 0], sums[0, 0], sums[0, [0, 2]].mean(), sums[0, [0, 2, 3]].mean()]
    np.testing.assert_allclose(y.numpy()[0, :, 0], means, rtol=1e-6)
    assert count.numpy().item() == 4.0 and total.shape == (1, 2)
    both = layers.Bidirectional(layers.RNN(Minimal(2), return_sequences=True))(x).numpy()
    np.testing.assert_allclose(both[0, -1, 2], sums[0, -1])
    with pytest.raises(ArgumentError, match="state_size"):
        layers.RNN(layers.Dense(3))
    going = layers.RNN(Two(2), stateful=True)
    going(x[:, :2])
    assert going.states[0].numpy().item() == 3.0  # it began with 1
    going(x[:, :1], initial_state=[np.full((1, 1), 7.0), np.zeros((1, 2))])
    assert going.states[0].numpy().item() == 8.0
    lost = Minimal(2)
    lost.state_size = [2, 2]
    with pytest.raises(ArgumentError, match="returned 1 states, but was given 2"):
        layers.RNN(lost)(x)


# Edges.


@pytest.mark.parametrize("kind", KINDS)
def test_no_steps_one_step_and_nothing_but_masked_steps(kind: str) -> None:
    made = getattr(layers, kind)(3, return_sequences=True, return_state=True)
    first = [np.full((2, 3), 0.5)] * (2 if kind == "LSTM" else 1)
    y, *states = made(np.ones((2, 1, 4)), initial_state=first)
    np.testing.assert_array_equal(y.numpy()[:, 0], states[0].numpy())
    y, *states = made(np.zeros((2, 0, 4)), initial_state=first)
    assert y.shape == (2, 0, 3)
    for state in states:
        np.testing.assert_array_equal(state.numpy(), 0.5)
    y, *states = made(np.ones((2, 3, 4)), initial_state=first, mask=np.zeros((2, 3), bool))
    np.testing.assert_array_equal(y.numpy(), 0.5)
    for state in states:
        np.testing.assert_array_equal(state.numpy(), 0.5)
    case = Case(kind, 3, {}, np.ones((2, 3, 4), "float32"), mask=np.zeros((2, 3), bool))
    _, slopes, _ = ours(case.made(layers), case, 0)
    assert not any(g.any() for g in slopes)


@pytest.mark.parametrize("kind", KINDS)
def test_mistakes_are_told(kind: str) -> None:
    made = getattr(layers, kind)(3)
    for shape in ((2, 3), (4,)):
        with pytest.raises(ShapeError, match="expected sequences"):
            getattr(layers, kind)(3)(np.ones(shape))
    made(np.ones((2, 3, 4)))
    with pytest.raises(ShapeError, match="axis `k` is 5 in x but 4 in the kernel"):
        made(np.ones((2, 3, 5)))
    with pytest.raises(ShapeError, match=r"the mask has shape \[2, 4\]; expected \[2, 3\]"):
        made(np.ones((2, 3, 4)), mask=np.ones((2, 4), bool))
    with pytest.raises(ShapeError, match="initial_state has the shapes"):
        made(np.ones((2, 3, 4)), initial_state=[np.ones((2, 2))])
    for wrong in ({"units": 0}, {"units": 2.5}, {"dropout": 1.0}, {"recurrent_dropout": -0.1}):
        with pytest.raises(ArgumentError):
            getattr(layers, kind)(**{"units": 3, **wrong})
    with pytest.raises(ArgumentError, match="use_cudnn"):
        getattr(layers, kind)(3, use_cudnn="never")
    with pytest.raises(ArgumentError, match="unknown activation"):
        getattr(layers, kind)(3, activation="tan")


def test_mistakes_of_layers_around_others_are_told() -> None:
    with pytest.raises(ArgumentError, match="recurrent layer"):
        layers.Bidirectional(layers.Dense(3))
    with pytest.raises(ArgumentError, match="merge_mode"):
        layers.Bidirectional(layers.LSTM(3), merge_mode="max")
    with pytest.raises(ArgumentError, match="go_backwards"):
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3))
    with pytest.raises(ArgumentError, match="return_sequences"):
        back = layers.LSTM(3, go_backwards=True, return_sequences=True)
        layers.Bidirectional(layers.LSTM(3), backward_layer=back)
    with pytest.raises(ShapeError, match="steps with features"):
        layers.TimeDistributed(layers.Dense(2))(np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="takes a layer"):
        layers.TimeDistributed(np.ones(3))  # type: ignore[arg-type]


# Dropout.


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_drawn_once_for_all_steps(kind: str) -> None:
    made = getattr(layers, kind)(4, dropout=0.4, recurrent_dropout=0.3, return_sequences=True)
    x = np.ones((3, 5, 6), "float32")
    made(x)
    factors: dict[str, Any] = {}
    draw = made.cell.factor

    def noted(of: str, like: Any, training: bool) -> Any:
        factors[of] = draw(of, like, training)
        return factors[of]

    made.cell.__dict__["factor"] = noted
    with cr.graph.scope.tracing(cr.graph.constant(np.array([3, 1])), True):
        y = made.call(cr.graph.constant(x), training=True)
    found, inputs, state = cr.executors.run([y, factors["inputs"], factors["state"]])
    assert set(np.unique(inputs.round(4))) <= {0.0, np.float32(1 / 0.6).round(4)}
    assert set(np.unique(state.round(4))) <= {0.0, np.float32(1 / 0.7).round(4)}
    np.testing.assert_allclose(found, _stepped(made, x * inputs[:, None], state), atol=2e-6)
    np.testing.assert_array_equal(made(x).numpy(), made(x, training=False).numpy())


def _stepped(made: Any, x: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The outputs of a layer whose state is multiplied by `keep` on its way into the products."""

    def s(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    kernel, inner, bias = (w.astype(float) for w in made.get_weights())
    h = c = np.zeros((len(x), made.units))
    found = []
    for i in range(x.shape[1]):
        a, u = x[:, i] @ kernel, (h * keep) @ inner
        if bias.ndim == 1:
            a = a + bias
        else:
            a, u = a + bias[0], u + bias[1]
        if inner.shape[1] == made.units:
            h = np.tanh(a + u)
        elif bias.ndim == 2:
            (p, q, v), (pu, qu, vu) = np.split(a, 3, 1), np.split(u, 3, 1)
            z = s(p + pu)
            h = z * h + (1 - z) * np.tanh(v + s(q + qu) * vu)
        else:
            p, q, v, o = np.split(a + u, 4, 1)
            c = s(q) * c + s(p) * np.tanh(v)
            h = s(o) * np.tanh(c)
        found.append(h)
    return np.stack(found, 1)


def test_dropout_has_its_rate_and_differs_from_step_to_step() -> None:
    layer = layers.SimpleRNN(2, "linear", dropout=0.25, kernel_initializer="ones")
    layer.build_for((None, 1, 1))
    x = np.ones((20_000, 1, 1), "float32")
    one, two = (layer(x, training=True).numpy()[:, 0] for _ in range(2))
    assert abs((one == 0).mean() - 0.25) < 0.01 and abs(one.mean() - 1) < 0.02
    assert (one != two).any()
    assert layers.SimpleRNN(2, dropout=0.25)(x, training=False).shape == (20_000, 2)


# States that go on.


@pytest.mark.parametrize(
    "made", [layers.LSTM, layers.GRU, layers.SimpleRNN], ids=lambda m: m.__name__
)
def test_stateful_layers_go_on_where_the_batch_before_ended(made: Any) -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 3)).astype("float32")
    layer, whole = made(4, stateful=True), made(4)
    for one in (layer, whole):
        one.build_for((None, 6, 3))
    whole.set_weights(layer.get_weights())
    parts = [layer(x[:, i : i + 2]).numpy() for i in (0, 2, 4)]
    np.testing.assert_allclose(parts[-1], whole(x).numpy(), atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(layer(x).numpy(), parts[-1], atol=1e-6)
    with pytest.raises(ShapeError, match="states for 2 sequences, but the batch has 3"):
        layer(np.ones((3, 2, 3)))
    layer.forget_state()
    assert layer(np.ones((3, 2, 3))).shape == (3, 4)


def characters(**options: Any) -> Sequential:
    model = Sequential(
        [
            layers.Input(batch_shape=(4, 5, 3)),
            layers.LSTM(6, stateful=True, return_sequences=True, **options),
            layers.Bidirectional(layers.GRU(2)),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def stream(batches: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4 * batches, 5, 3)).astype("float32")
    return x, rng.random(4 * batches).astype("float32")


def test_training_on_streams_is_truncated_back_propagation() -> None:
    x, y = stream(3)
    one = Sequential([layers.Input((5, 3)), layers.GRU(3, stateful=True), layers.Dense(1)])
    cell, out = layers.GRU(3, return_state=True), layers.Dense(1)
    state = np.zeros((4, 3), "float32")
    out(cell(x[:4], initial_state=state)[0])
    for mine, theirs in zip((cell, out), one.layers, strict=True):
        mine.set_weights(theirs.get_weights())
    weights = [*cell.trainable_variables, *out.trainable_variables]
    optimizer, losses = cr.optimizers.SGD(0.1), []
    for begin in [0, 4, 8] * 2:
        part = slice(begin, begin + 4)
        with cr.GradientTape() as tape:
            h, last = cell(x[part], initial_state=state)
            loss = ops.mean(ops.square(out(h)[:, 0] - y[part]))
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        state = last.numpy()  # no gradient goes back into the batch before
        losses.append(float(loss))
    one.compile(cr.optimizers.SGD(0.1), "mse")
    found = one.fit(x, y, 4, 2, verbose=0, shuffle=False).history["loss"]
    np.testing.assert_allclose(found, np.reshape(losses, (2, 3)).mean(1), rtol=1e-5)
    for a, b in zip(one.get_weights(), [*cell.get_weights(), *out.get_weights()], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(one.layers[0].states[0].numpy(), state, atol=1e-6)


def test_states_go_on_in_evaluate_and_predict() -> None:
    model = characters()
    x, y = stream(2)
    model.predict(x[:4], 4, verbose=0)
    once = model.layers[0].states[0].numpy()
    model.predict(x[:4], 4, verbose=0)
    assert (model.layers[0].states[0].numpy() != once).any()
    model.layers[0].reset_state()
    whole = model.predict(x, verbose=0)  # in batches of the size of the states
    model.layers[0].reset_state()
    parts = [model.predict_on_batch(x[i : i + 4]) for i in (0, 4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    with pytest.raises(ShapeError, match="stateful layer has states for 4"):
        model.evaluate(x[:6], y[:6], 3, verbose=0)
    assert len(model.get_weights()) == 3 + 6 + 2  # states are no weights
    new = characters()
    run = new.fit(x, y, 4, verbose=0, shuffle=False, validation_data=(x, y))
    assert "val_loss" in run.history  # in batches of 4 too


def test_looks_at_a_network_leave_its_states_alone() -> None:
    x, y = stream(8)
    model = characters()
    assert cr.tuning.check_initialization(model, x, y).rows and not model.carried()
    model.fit(x, y, 4, verbose=0, shuffle=False)
    held = [v.numpy() for v in model.carried()]
    cr.tuning.check_initialization(model, x, y)
    for a, b in zip(model.carried(), held, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    assert any(a.any() for a in held)
    model.reset_state()
    assert not any(v.numpy().any() for v in model.carried())


def test_states_are_kept_in_checkpoints(tmp_path: Any) -> None:
    x, y = stream(4)

    class KilledError(Exception):
        pass

    class Kill(cr.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise KilledError

    def run(model: Sequential, *callbacks: Any) -> Any:
        return model.fit(x, y, 4, 4, verbose=0, shuffle=False, callbacks=[*callbacks])

    def begin() -> Sequential:
        cr.utils.set_random_seed(3)
        return characters(dropout=0.2)

    straight = begin()
    wanted = run(straight)
    backup = BackupAndRestore(str(tmp_path))
    with pytest.raises(KilledError):
        run(begin(), backup, Kill())
    resumed = begin()
    found = run(resumed, BackupAndRestore(str(tmp_path)))
    assert found.history["loss"][-1] == wanted.history["loss"][-1]
    for a, b in zip(straight.layers[0].carried(), resumed.layers[0].carried(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


# Models and files.


def encoder_decoder() -> Model:
    words = layers.Input((6,), name="words")
    x = layers.Embedding(9, 4, mask_zero=True)(words)
    y, h, c = layers.LSTM(3, return_sequences=True, return_state=True)(x)
    z = layers.LSTM(3, return_sequences=True)(y, initial_state=[h, c])
    z = layers.Bidirectional(layers.GRU(2, return_sequences=True), merge_mode="sum")(z)
    return Model(words, layers.TimeDistributed(layers.Dense(2))(z))


def cells() -> Sequential:
    stack = [layers.Input((6,)), layers.Embedding(9, 4, mask_zero=True)]
    stack += [layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)]
    return Sequential([*stack, layers.SimpleRNN(3, "softsign", go_backwards=True)])


@pytest.mark.parametrize("made", [encoder_decoder, cells])
def test_models_are_saved_and_made_again(made: Any, tmp_path: Any) -> None:
    model = made()
    x = np.random.default_rng(0).integers(0, 9, (5, 6))
    wanted = model.predict(x, verbose=0)
    model.save(tmp_path / "m.chainrule")
    np.testing.assert_array_equal(
        load_model(tmp_path / "m.chainrule").predict(x, verbose=0), wanted
    )
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(x, verbose=0), wanted)
    model.save_weights(tmp_path / "w.chainrule")
    again = made()
    again.load_weights(tmp_path / "w.chainrule")
    np.testing.assert_array_equal(again.predict(x, verbose=0), wanted)
    text: list[str] = []
    model.summary(print_fn=text.append)
    assert "Total params" in text[0]


def test_files_of_keras_with_recurrent_layers(tmp_path: Any) -> None:
    keras = peer("keras")
    x = np.random.default_rng(0).integers(0, 9, (5, 6))
    stack = [keras.layers.Input((6,)), keras.layers.Embedding(9, 4, mask_zero=True)]
    stack += [keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True, dropout=0.1))]
    stack += [keras.layers.GRU(3, return_sequences=True, reset_after=False)]
    stack += [keras.layers.TimeDistributed(keras.layers.Dense(3))]
    stack += [keras.layers.SimpleRNN(2, activation="relu")]
    theirs = keras.Sequential(stack)
    wanted = np.array(theirs.predict(x, verbose=0))
    theirs.save(tmp_path / "theirs.keras")
    mine = load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(mine.predict(x, verbose=0), wanted, atol=1e-6)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    mine = Sequential.from_config(mine.get_config())
    mine.load_weights(tmp_path / "theirs.weights.h5")
    np.testing.assert_allclose(mine.predict(x, verbose=0), wanted, atol=1e-6)
    mine.save(tmp_path / "mine.keras")
    back = keras.models.load_model(tmp_path / "mine.keras")
    np.testing.assert_allclose(np.array(back.predict(x, verbose=0)), wanted, atol=1e-6)


def test_weights_begin_as_keras_s_do_and_carry_over() -> None:
    layer = layers.LSTM(3)
    layer.build_for((None, 2, 4))
    names = [v.name.split(".")[-1] for v in layer.variables]
    assert names == ["kernel", "recurrent_kernel", "bias"]
    kernel, inner, bias = layer.get_weights()
    np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], 3))
    np.testing.assert_allclose(inner @ inner.T, np.eye(3), atol=1e-6)
    assert kernel.shape == (4, 12) and layer.count_params() == 4 * 12 + 3 * 12 + 12
    assert layers.LSTM(3, unit_forget_bias=False)(np.ones((1, 1, 2))).shape == (1, 3)
    given = [kernel, inner, bias]
    both = layers.Bidirectional(layers.LSTM(3), weights=[*given, *given])
    y = both(np.ones((1, 2, 4))).numpy()
    np.testing.assert_array_equal(y[:, :3], y[:, 3:])
    assert layer.units == 3 and layer.activation is cr.activations.tanh
    with pytest.raises(AttributeError, match="no attribute"):
        layer.widths  # noqa: B018


def test_regularizers_constraints_and_frozen_layers() -> None:
    layer = layers.GRU(
        3,
        kernel_regularizer=cr.regularizers.L2(0.5),
        recurrent_constraint=cr.constraints.MaxNorm(0.1),
        activity_regularizer=cr.regularizers.L1(1.0),
    )
    model = Sequential([layers.Input((2, 4)), layer])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 2, 4)), np.zeros((8, 3)), verbose=0)
    assert np.linalg.norm(layer.get_weights()[1], axis=0).max() < 0.1001
    assert len(layer.losses) == 1
    layer.trainable = False
    before = layer.get_weights()
    other = Sequential([model, layers.Dense(1)])
    other.compile("sgd", "mse")
    other.fit(np.ones((8, 2, 4)), np.ones((8, 1)), verbose=0)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.LSTM(3, return_sequences=True, return_state=True), (None, 5, 4)),
        (lambda: layers.GRU(3), (None, 5, 4)),
        (lambda: layers.GRU(3, return_sequences=True), (None, None, 4)),
        (lambda: layers.Bidirectional(layers.LSTM(3, return_state=True)), (None, 5, 4)),
        (lambda: layers.Bidirectional(layers.GRU(3), merge_mode=None), (None, 5, 4)),
        (lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), (None, None, 4)),
        (lambda: layers.TimeDistributed(layers.LSTM(3)), (None, 5, 4, 2)),
        (lambda: layers.Embedding(3, 2), (None, None)),
        (lambda: layers.Masking(), (None, 5, 4)),
    ],
)
def test_shapes_are_known_before_any_data(layer: Any, shape: Any) -> None:
    made = layer()
    told = made.compute_output_shape(shape)
    sizes = [n or 7 for n in shape]
    found = made(np.zeros(sizes))
    found = found if isinstance(found, list) else [found]
    told = told if isinstance(told, list) else [told]
    whole = [tuple(n or 7 for n in s) for s in told]
    assert [y.shape for y in found] == whole
    symbols = made(layers.Input(shape[1:]))
    symbols = symbols if isinstance(symbols, list) else [symbols]
    assert [tuple(s.shape) for s in symbols] == [tuple(t) for t in told]


def test_one_model_takes_sequences_of_any_length() -> None:
    x = layers.Input((None, 3))
    y = layers.LSTM(4, return_sequences=True)(layers.Masking()(x))
    model = Model(x, layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Conv1D(4, 3)(y))))
    assert y.shape == (None, None, 4) and model.output_shape == (None, 1)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="mask"):
        for t in (5, 9):
            model.fit(np.ones((4, t, 3)), np.ones(4), verbose=0)
            assert model.predict(np.ones((2, t, 3)), verbose=0).shape == (2, 1)
    with pytest.raises(ChainruleError, match="which is open"):
        model.memory()
    with pytest.raises(ChainruleError, match="samples of shape"):
        model.predict(np.ones((2, 5, 4)), verbose=0)


def test_time_distributed_is_keras_s_with_masks_within() -> None:
    keras, rng = peer("keras"), np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4, 5)).astype("float32")
    found, weights = [], []
    for kind in (layers, keras.layers):
        layer = kind.TimeDistributed(kind.LSTM(2))
        layer(x)
        weights = weights or layer.get_weights()
        layer.set_weights(weights)
        found.append(np.array(layer(x)))
    np.testing.assert_allclose(*found, atol=1e-6)
    words = rng.integers(0, 3, (2, 3, 4))
    table = layers.Embedding(3, 5, mask_zero=True)
    inner = layers.LSTM(2)
    y = layers.TimeDistributed(inner)(table(words))
    np.testing.assert_array_equal(y.mask.numpy(), (words != 0).any(-1))
    np.testing.assert_allclose(y.numpy()[:, 1], inner(table(words[:, 1])).numpy(), atol=1e-6)
    with pytest.raises(ShapeError, match="the mask has shape"):
        layers.TimeDistributed(layers.Dense(2))(x, mask=np.ones((2, 4)))


def test_graphs_of_keras_with_masks_and_states(tmp_path: Any) -> None:
    keras = peer("keras")
    kind = keras.layers
    words = np.random.default_rng(0).integers(0, 9, (5, 6))
    x = kind.Input((6,))
    y, h, _ = kind.LSTM(3, return_sequences=True, return_state=True)(
        kind.Embedding(9, 4, mask_zero=True)(x)
    )
    # Called with states, a layer is given no mask: in both packages.
    z = kind.GRU(3, return_sequences=True)(y, initial_state=h)
    z = kind.Masking(0.0)(kind.Bidirectional(kind.SimpleRNN(2, return_sequences=True))(z))
    theirs = keras.Model(x, kind.RNN([kind.LSTMCell(2), kind.GRUCell(3)])(z))
    wanted = np.array(theirs.predict(words, verbose=0))
    theirs.save(tmp_path / "theirs.keras")
    mine = load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(mine.predict(words, verbose=0), wanted, atol=1e-6)
    x = layers.Input((6,))
    y = layers.LSTM(3, return_sequences=True)(layers.Embedding(9, 4, mask_zero=True)(x))
    mine = Model(x, layers.TimeDistributed(layers.Dense(2))(y))
    mine.save(tmp_path / "mine.keras")
    theirs = keras.models.load_model(tmp_path / "mine.keras")
    found = np.array(theirs.predict(words, verbose=0))
    np.testing.assert_allclose(found, mine.predict(words, verbose=0), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("ConvLSTM1D", {"kernel_size": 3, "strides": 2, "activation": "softsign"}, (6, 2)),
        ("ConvLSTM2D", {"kernel_size": (3, 2), "padding": "same", "use_bias": False}, (4, 5, 2)),
        ("ConvLSTM2D", {"kernel_size": 2, "dilation_rate": 2, "return_state": True}, (4, 5, 1)),
        ("ConvLSTM3D", {"kernel_size": 2, "recurrent_activation": "hard_sigmoid"}, (3, 3, 3, 1)),
    ],
)
def test_convolutions_of_states_are_keras_s(
    name: str, options: dict[str, Any], shape: tuple[int, ...], tmp_path: Any
) -> None:
    keras, rng = peer("keras"), np.random.default_rng(0)
    x = rng.standard_normal((2, 3, *shape)).astype("float32")
    options = {"filters": 3, "return_sequences": True, **options}
    theirs = getattr(keras.layers, name)(**options)
    theirs.build(x.shape)
    case = Case(name, 3, {}, x)
    mine = getattr(layers, name)(**options)
    outputs, slopes, weights = ours(mine, case, 1)
    case.made = lambda of: getattr(of, name)(**options)  # type: ignore[method-assign]
    wanted, by = of_keras(case, weights, 1)
    close(outputs, wanted, name)
    close(slopes, by, name)
    told = mine.compute_output_shape((None, 3, *shape))
    told = told if isinstance(told, list) else [told]
    assert [s[1:] for s in told] == [y.shape[1:] for y in outputs]
    again = layers.deserialize(layers.serialize(mine))
    again.build_for((None, 3, *shape))
    again.set_weights(weights)
    close(values(again(x)), outputs, name)
    if "return_state" not in options:  # Keras's masks do not fit images
        skipped = again(x, mask=np.array([[True, False, True]] * 2)).numpy()
        np.testing.assert_array_equal(skipped[:, 1], skipped[:, 0])
        close([skipped[:, 2]], [again(x[:, ::2]).numpy()[:, 1]], name)
    if "return_state" not in options:
        model = Sequential([layers.Input((3, *shape)), mine])
        model.save(tmp_path / "m.keras")
        found = np.array(keras.models.load_model(tmp_path / "m.keras").predict(x, verbose=0))
        np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


def test_convolutions_of_states_with_channels_first_states_and_dropout() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 5, 4, 2)).astype("float32")
    last = layers.ConvLSTM2D(3, 2, return_state=True)
    first = layers.ConvLSTM2D(3, 2, data_format="channels_first", return_state=True)
    wanted = last(x)
    given = x.transpose(0, 1, 4, 2, 3)
    first(given)
    first.set_weights(last.get_weights())
    for a, b in zip(first(given), wanted, strict=True):
        np.testing.assert_allclose(a.numpy().transpose(0, 2, 3, 1), b.numpy(), atol=1e-5)
    states = [rng.standard_normal((2, 4, 3, 3)).astype("float32") for _ in range(2)]
    y = last(x[:, :0], initial_state=states)
    np.testing.assert_array_equal(y[1].numpy(), states[0])
    with pytest.raises(ShapeError, match="initial_state has the shapes"):
        last(x, initial_state=states[:1])
    with pytest.raises(ShapeError, match="was built for"):
        last(x[:, :, :, :3])
    with pytest.raises(ShapeError, match="axes of space"):
        layers.ConvLSTM2D(3, 2)(x[..., 0])
    with pytest.raises(ArgumentError, match="only one of strides"):
        layers.ConvLSTM2D(3, 2, strides=2, dilation_rate=2)
    dropping = layers.ConvLSTM1D(2, 2, dropout=0.5, recurrent_dropout=0.5, stateful=True)
    model = Sequential([layers.Input((3, 6, 1)), dropping, layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3, 6, 1)), np.ones(4), batch_size=2, verbose=0, shuffle=False)
    assert dropping.states[0].shape == (2, 5, 2)
