"""Networks as graphs: against Keras with the same weights, in files, in pictures, and in errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from chainrule import GradientTape, layers, load_model, models, ops
from chainrule.errors import ArgumentError, ChainruleError, DataError, FileError, GraphError
from chainrule.layers import Dense, Input
from chainrule.models import Functional, Model, Sequential, plot_model
from chainrule.models.plotting import Words, svg
from peers import peer

# Of Keras's own variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
RNG = np.random.default_rng(0)
A = RNG.normal(size=(48, 4)).astype("float32")
B = RNG.normal(size=(48, 3)).astype("float32")
P = RNG.normal(size=(48, 1)).astype("float32")
Q = RNG.integers(0, 3, 48)


def two_inputs(k: Any) -> Any:
    a, b = k.layers.Input((4,), name="a"), k.layers.Input((3,), name="b")
    h = k.layers.Concatenate()([k.layers.Dense(5, activation="tanh")(a), b])
    return k.Model([a, b], k.layers.Dense(1, name="p")(h))


def two_outputs(k: Any) -> Any:
    a, b = k.layers.Input((4,), name="a"), k.layers.Input((3,), name="b")
    h = k.layers.concatenate([k.layers.Dense(5, activation="tanh")(a), b])
    q = k.layers.Dense(3, activation="softmax", name="q")(h)
    return k.Model([a, b], [k.layers.Dense(1, name="p")(h), q])


def siamese(k: Any) -> Any:
    a, b = k.layers.Input((4,), name="a"), k.layers.Input((4,), name="b")
    shared = k.layers.Dense(6, activation="tanh", name="shared")
    return k.Model([a, b], k.layers.Dot(axes=1, normalize=True)([shared(a), shared(b)]))


def skip(k: Any) -> Any:
    x = k.layers.Input((4,), name="a")
    h = k.layers.Dense(4, activation="relu")(x)
    h = k.layers.Add()([h, x])
    h = k.layers.Average()([k.layers.Dense(4)(h), h, k.layers.Maximum()([x, h])])
    h = k.layers.subtract([h, k.layers.minimum([x, h])])
    return k.Model(x, k.layers.Dense(1)(k.layers.multiply([h, x])))


def nested(k: Any) -> Any:
    inner_x = k.layers.Input((4,))
    inner = k.Model(inner_x, k.layers.Dense(4, activation="tanh")(inner_x))
    stack = k.Sequential([k.layers.Input((4,)), k.layers.Dense(4, activation="relu"), inner])
    x = k.layers.Input((4,), name="a")
    return k.Model(x, k.layers.Dense(1)(stack(inner(x)) + inner(x)))


def operations(k: Any) -> Any:
    x = k.layers.Input((4,), name="a")
    h = k.layers.Dense(4)(x)
    h = k.ops.concatenate([k.ops.tanh(h[:, 1:]) * 2.0 - 1.0, 1.0 / (1.0 + x**2)], axis=1)
    return k.Model(x, k.layers.Dense(1)(-h))


GRAPHS = [two_inputs, siamese, skip, nested, operations]


class Ours:
    """chainrule under Keras's names."""

    layers, ops, Model, Sequential = layers, ops, Model, Sequential


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    return peer("keras")


def data_of(model: Any) -> list[np.ndarray]:
    shapes = [tuple(x.shape[1:]) for x in model.inputs]
    return [RNG.normal(size=(48, *shape)).astype("float32") for shape in shapes]


def pair(keras: ModuleType, make: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return a graph of ours and the same of Keras, with the weights of ours."""
    ours, theirs = make(Ours), make(keras)
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    theirs.set_weights(ours.get_weights())
    return ours, theirs


@pytest.mark.parametrize("make", GRAPHS, ids=lambda f: f.__name__)
def test_outputs_losses_and_gradients_are_those_of_keras(
    keras: ModuleType, make: Callable[[Any], Any]
) -> None:
    ours, theirs = pair(keras, make)
    x = data_of(ours)
    given = x if len(x) > 1 else x[0]
    want = np.asarray(theirs(given))
    np.testing.assert_allclose(ours.predict(given, verbose=0), want, atol=2e-6)
    ours.compile("sgd", "mse")
    theirs.compile(keras.optimizers.SGD(0.01), "mse")
    mine = ours.fit(given, P, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    want = theirs.fit(given, P, batch_size=16, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(mine["loss"], want["loss"], rtol=1e-5)
    for w, v in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(w, v, atol=5e-6)


@pytest.mark.parametrize("by_name", [False, True])
def test_several_outputs_train_as_in_keras(keras: ModuleType, by_name: bool) -> None:
    ours, theirs = pair(keras, two_outputs)
    loss: Any = {"p": "mse", "q": "sparse_categorical_crossentropy"}
    measured: Any = {"p": ["mae"], "q": ["accuracy"]}
    weights, samples = {"p": 2.0, "q": 0.5}, {"p": np.linspace(0, 1, 48), "q": np.ones(48)}
    x: Any = {"a": A, "b": B} if by_name else [A, B]
    y: Any = {"q": Q, "p": P} if by_name else [P, Q]
    if not by_name:
        loss, measured = list(loss.values()), list(measured.values())
    ours.compile("sgd", loss, loss_weights=[2.0, 0.5], metrics=measured)
    theirs.compile(keras.optimizers.SGD(0.01), loss, loss_weights=weights, metrics=measured)
    options = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    y_theirs, by_place = [P, Q], list(samples.values())  # Keras mixes up weights in dicts
    mine = ours.fit(x, y, sample_weight=samples if by_name else None, **options).history
    want = theirs.fit(x, y_theirs, sample_weight=by_place if by_name else None, **options).history
    assert list(mine) == ["loss", "p_loss", "q_loss", "p_mae", "q_accuracy"]
    assert set(mine) == set(want)
    for name in mine:
        np.testing.assert_allclose(mine[name], want[name], rtol=2e-5, err_msg=name)
    for w, v in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(w, v, atol=2e-6)
    want = theirs.evaluate(x, y_theirs, verbose=0, return_dict=True)
    mine = ours.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose([mine[k] for k in sorted(mine)], [want[k] for k in sorted(mine)],
                               rtol=2e-5)  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_dot_and_concatenate_on_any_axis_are_those_of_keras(keras: ModuleType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, ndims = 3, rng.integers(2, 5, 2)
    axes = [int(rng.integers(1, n)) for n in ndims]
    shapes = [[2, *rng.integers(1, 4, n - 1)] for n in ndims]
    for shape, axis in zip(shapes, axes, strict=True):
        shape[axis] = k
    x, y = (rng.normal(size=s).astype("float32") for s in shapes)
    normalize = bool(seed % 2)
    want = np.asarray(keras.layers.Dot(axes, normalize=normalize)([x, y]))
    got = layers.Dot(axes, normalize=normalize)([x, y]).numpy()
    np.testing.assert_allclose(got, want, atol=1e-5)
    axis = axes[0] if seed % 2 else axes[0] - int(ndims[0])
    np.testing.assert_array_equal(
        layers.Concatenate(axis)([x, x + 1, x]).numpy(),
        np.asarray(keras.layers.Concatenate(axis)([x, x + 1, x])),
    )


def test_merging_inputs_of_fewer_axes_broadcasts_as_in_keras(keras: ModuleType) -> None:
    x, y = RNG.normal(size=(2, 5, 3)), RNG.normal(size=(2, 3))
    for name in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract"):
        got = getattr(layers, name)()([x, y]).numpy()
        want = getattr(keras.layers, name)()([x, y])
        np.testing.assert_allclose(got, np.asarray(want), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("make", [*GRAPHS, two_outputs], ids=lambda f: f.__name__)
def test_a_saved_graph_predicts_and_trains_on_the_same(make: Any, tmp_path: Any) -> None:
    model = make(Ours)
    x = data_of(model)
    y = [P, Q] if make is two_outputs else P
    loss = ["mse", "sparse_categorical_crossentropy"] if make is two_outputs else "mse"
    given = x if len(x) > 1 else x[0]
    model.compile("adam", loss)
    model.fit(given, y, verbose=0)
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    assert again.count_params() == model.count_params()
    assert again.get_config() == model.get_config()
    for m in (model, again):
        m.fit(given, y, verbose=0)
    mine, theirs = model.predict(given, verbose=0), again.predict(given, verbose=0)
    for p, q in zip(*(v if isinstance(v, list) else [v] for v in (mine, theirs)), strict=True):
        np.testing.assert_array_equal(p, q)


def test_a_layer_in_two_models_is_saved_once(tmp_path: Any) -> None:
    shared, x = Dense(4, name="shared"), Input((4,))
    stack = Sequential([Input((4,)), Dense(4), shared])
    model = Model(x, layers.add([stack(x), shared(x)]))
    model.save(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule")
    assert again.count_params() == model.count_params() == 40
    assert again.get_layer(index=1).layers[1] is again.get_layer("shared")
    np.testing.assert_array_equal(again.predict(A, verbose=0), model.predict(A, verbose=0))


class Factor(layers.Layer):
    """A layer of the user's."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, x: Any) -> Any:
        return x * self.factor


def test_layers_of_the_users_load_with_custom_objects(tmp_path: Any) -> None:
    x = Input((4,))
    model = Model(x, Sequential([Factor(), Dense(2)])(x))
    model.save(tmp_path / "m.chainrule")
    with pytest.raises(ChainruleError, match="Factor"):
        load_model(tmp_path / "m.chainrule")
    again = load_model(tmp_path / "m.chainrule", custom_objects={"Factor": Factor})
    np.testing.assert_array_equal(again.predict(A, verbose=0), model.predict(A, verbose=0))


def test_a_lambda_is_saved_by_name_or_not_at_all(tmp_path: Any) -> None:
    x = Input((4,))
    Model(x, layers.Lambda(ops.tanh)(x)).save(tmp_path / "m.chainrule")
    got = load_model(tmp_path / "m.chainrule").predict(A, verbose=0)
    np.testing.assert_allclose(got, np.tanh(A), atol=1e-6)
    own = Model(x, layers.Lambda(lambda x: x + 1)(x))
    np.testing.assert_array_equal(own.predict(A, verbose=0), A + 1)
    with pytest.raises(FileError, match="holds code of your own, which a file cannot hold"):
        own.save(tmp_path / "own.chainrule")


class TwoRoads(Model):
    """A class of the user's with two inputs and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Dense(1), Dense(3, activation="softmax")

    def call(self, inputs: Any) -> Any:
        return {"p": self.first(inputs["a"]), "q": self.second(inputs["b"])}


def test_subclassed_models_take_several_inputs_and_outputs() -> None:
    model = TwoRoads()
    model.compile("adam", {"p": "mse", "q": "sparse_categorical_crossentropy"})
    x, y = {"a": A, "b": B}, {"p": P, "q": Q}
    history = model.fit(x, y, epochs=30, verbose=0, validation_split=0.25).history
    assert history["loss"][-1] < history["loss"][0]
    assert "val_q_loss" in history
    found = model.predict(x, verbose=0)
    assert {name: part.shape for name, part in found.items()} == {"p": (48, 1), "q": (48, 3)}


def test_a_graph_in_a_loop_by_hand_has_the_gradients_of_fit() -> None:
    model = two_inputs(Ours)
    with GradientTape() as tape:
        loss = ops.mean(ops.square(model([A, B]) - P))
    gradients = [g.numpy() for g in tape.gradient(loss, model.trainable_variables)]
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.train_on_batch([A, B], P)
    for was, gradient, now in zip(before, gradients, model.get_weights(), strict=True):
        np.testing.assert_allclose(was - 0.01 * gradient, now, atol=1e-6)


def test_a_graph_of_one_stack_has_the_bits_of_the_stack() -> None:
    stack = Sequential([Input((4,)), Dense(8, activation="relu"), Dense(1)])
    x = Input((4,))
    graph = Model(x, Dense(1)(Dense(8, activation="relu")(x)))
    graph.set_weights(stack.get_weights())
    for model in (stack, graph):
        model.compile("adam", "mse")
        model.fit(A, P, epochs=3, shuffle=False, verbose=0)
    for w, v in zip(stack.get_weights(), graph.get_weights(), strict=True):
        np.testing.assert_array_equal(w, v)


def test_part_of_a_graph_is_a_model_with_the_same_weights() -> None:
    model = skip(Ours)
    middle = Model(model.inputs, model.calls[0].outputs)
    np.testing.assert_allclose(
        middle.predict(A, verbose=0), np.maximum(A @ middle.get_weights()[0], 0), atol=1e-6
    )
    rest = Model(model.calls[0].outputs[0], Dense(2)(model.calls[0].outputs[0]))
    assert rest.predict(A, verbose=0).shape == (48, 2)


def test_names_of_inputs_and_outputs() -> None:
    a, b, shared = Input((4,), name="a"), Input((4,)), Dense(2, name="shared")
    model = Model({"left": a, "right": b}, [shared(a), shared(b)])
    assert (model.input_names, model.output_names) == (["left", "right"], ["shared", "shared_1"])
    assert [y.shape for y in model.predict({"right": A, "left": A}, verbose=0)] == [(48, 2)] * 2
    named = Model([a], {"y": shared(a)})
    assert list(named.predict(A, verbose=0)) == named.output_names == ["y"]


def graph_of_two() -> Functional:
    model = two_outputs(Ours)
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"])
    return model


def same_name() -> Model:
    x = Input((4,))
    return Model(x, Dense(2, name="d")(Dense(2, name="d")(x)))


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: graph_of_two().fit([A], [P, Q]), DataError, "x must be 2 arrays.*'a', 'b'.*1 is"),
    (lambda: graph_of_two().fit(A, [P, Q]), DataError, "x must be 2 arrays.*one array is"),
    (lambda: graph_of_two().fit({"a": A, "c": B}, [P, Q]), DataError, "'a', 'c'.*are 'a', 'b'"),
    (lambda: graph_of_two().fit([A, B], [P]), DataError, "y must be 2 arrays.*'p', 'q'.*1 is"),
    (lambda: graph_of_two().fit([A, B], {"p": P, "z": Q}), DataError, "'p', 'z'.*are 'p', 'q'"),
    (lambda: graph_of_two().fit([A, B], {"p": P}), DataError, "output 'q' has a loss, but y has"),
    (lambda: graph_of_two().fit([A, B[:9]], [P, Q]), DataError, r"x\['b'\] has 9"),
    (lambda: graph_of_two().fit([A, B], [P, Q + 1]), DataError, r"label 3 in row \d+ of y\['q'\]"),
    (lambda: graph_of_two().fit([A, B / 0], [P, Q]), DataError, r"x\['b'\] is -?inf in row"),
    (lambda: graph_of_two().fit([A, B], [P, Q], class_weight={0: 1}), ArgumentError, "one output"),
    (lambda: graph_of_two().compile("sgd", {"z": "mse"}), ArgumentError, "names the output 'z'"),
    (lambda: graph_of_two().compile("sgd", ["mse"]), ArgumentError, "one for each output"),
    (same_name, ArgumentError, "two layers are called 'd'"),
    (lambda: Model(Input((4,), name="a"), two_inputs(Ours).output_shape), ArgumentError, "symbols"),
    (lambda: two_inputs(Ours)([A, A]), ChainruleError, "input 'b' has samples of shape"),
    (lambda: float(Input((4,))[0, 0].numpy()), GraphError, "has no elements"),
    (lambda: layers.Dot(1)([A, B]), ChainruleError, "4 and 3 elements"),
    (lambda: layers.Concatenate(1)([A, B[:9]]), ChainruleError, "agree in the others"),
    (
        lambda: Sequential([layers.StringLookup(vocabulary=["a"])])(Input((4,))),
        GraphError,
        "before the step",
    ),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors_say_what_was_expected(number: int) -> None:
    run, kind, text = ERRORS[number]
    with pytest.raises(kind) as raised:
        run()
    assert re.search(text, str(raised.value), re.DOTALL), str(raised.value)


def test_a_disconnected_graph_names_the_input() -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    with pytest.raises(GraphError, match=r"depend on the input 'b', which is not among.*'a'"):
        Model(a, layers.add([a, b]))
    with pytest.raises(GraphError, match="no output of the model depends on the input 'b'"):
        Model([a, b], Dense(1)(a))


def test_the_summary_shows_what_is_connected() -> None:
    lines: list[str] = []
    siamese(Ours).summary(print_fn=lines.append)
    rows = [re.split(r"\s*│\s*", row)[1:-1] for row in lines[0].splitlines() if "│" in row]
    assert [row[0].split()[0] for row in rows][:3] == ["a", "b", "shared"]
    assert rows[2][1:] == ["(None, 6)", "30", "a, b"]
    assert rows[3][3] == "shared, shared[1]"


def test_the_picture_has_boxes_and_lines(tmp_path: Any) -> None:
    model = siamese(Ours)
    text = svg(model)
    assert text.count("<rect") == 1 + 5
    assert text.count("marker-end") == 4
    assert "shared: call 2 of 2" in text
    assert "(None, 6), (None, 6) → (None, 1)" in text
    plot_model(model, tmp_path / "m.svg")
    assert (tmp_path / "m.svg").read_text(encoding="utf-8") == text
    plain = svg(Sequential([Input((4,)), Dense(3, name="<&>")]), Words(shapes=False))
    assert "&lt;&amp;&gt;" in plain
    assert "None" not in plain
    with pytest.raises(ArgumentError, match="svg"):
        plot_model(model, tmp_path / "m.png")


def test_memory_of_several_inputs_and_outputs() -> None:
    assert graph_of_two().memory(8).weights == two_outputs(Ours).count_params() * 4
    assert models.Functional is type(graph_of_two())
