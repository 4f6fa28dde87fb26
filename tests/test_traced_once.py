"""Code of the user's that looks at values while a step is traced, and NumPy's functions on them."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import Variable, ops
from chainrule.errors import DTypeError, GraphError
from chainrule.layers import Dense, Input, Layer
from chainrule.models import Sequential
from chainrule.optimizers import SGD

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def fit(loss="mse", layer=None, **options):
    model = Sequential([Input((3,)), *([] if layer is None else [layer]), Dense(1)])
    model.compile("sgd", loss, **options)
    return model.fit(X, Y, verbose=0)


class Choosing(Layer):
    """A layer that looks at what it is given."""

    def call(self, inputs):
        return inputs if ops.mean(inputs) > 0 else -inputs


def branching(y, p):
    return ops.mean(p) if ops.mean(p) > 0 else ops.mean(y)


LOOKS = {
    "if": {"loss": branching},
    "metric": {"metrics": [branching]},
    "layer": {"layer": Choosing(name="choosing")},
    "float": {"loss": lambda y, p: ops.mean(p) * float(ops.mean(p))},
    "int": {"loss": lambda y, p: ops.mean(p) * int(ops.mean(p))},
    "numpy()": {"loss": lambda y, p: ops.mean(p) * ops.mean(p).numpy()},
    "np.mean": {"loss": lambda y, p: np.mean(y - p)},
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_step_is_traced_once(look):
    with pytest.raises(GraphError, match=r"(?s)a step is traced once.*ops\.where.*ops\.mean") as e:
        fit(**LOOKS[look])
    assert str(e.value).startswith("in layer 'choosing'") == (look == "layer")


@pytest.mark.parametrize(
    ("loss", "fix"),
    [
        (lambda y, p: np.mean(np.square(y - p)), r"ops\.square.*ops\.mean"),
        (lambda y, p: ops.mean(np.add.reduce(y - p)), r"NumPy's add\.reduce.*ops\.mean"),
        (lambda y, p: ops.mean(np.cbrt(y - p)), r"NumPy's cbrt.*ops\.mean"),
    ],
)
def test_numpy_while_a_step_is_traced(loss, fix):
    with pytest.raises(TypeError, match=f"(?s){fix}") as e:
        fit(loss)
    assert isinstance(e.value, DTypeError)


def test_numpy_on_known_values():
    w = Variable([1.0, 4.0])
    for x in (w, ops.multiply(w, 1.0)):
        np.testing.assert_allclose(np.sqrt(x), [1.0, 2.0])
        np.testing.assert_allclose(np.asarray(x), [1.0, 4.0])
        assert np.add.reduce(x) == np.mean(x) * 2 == 5.0
        assert isinstance(np.sqrt(x), np.ndarray)
    target = np.zeros(2)
    assert np.add(w, 1.0, out=target) is target
    np.testing.assert_allclose(target, [2.0, 5.0])
    with pytest.raises(TypeError):
        np.add(target, 1.0, out=w)


@pytest.mark.parametrize("left", [np.array([2.0, 3.0]), np.float64(2.0), np.float32(3.0)], ids=str)
@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", "!=", "=="])
def test_arrays_on_the_left_of_operators(left, sign):
    held = np.array([1.5, 4.0])
    for x in (Variable(held), ops.as_value(held)):
        found = eval(f"left {sign} x", {"left": left, "x": x})
        assert type(found) is type(ops.as_value(1.0))
        np.testing.assert_allclose(found, eval(f"left {sign} held", {"left": left, "held": held}))


def test_values_added_to_an_array_keep_their_gradient():
    w = Variable([1.0, 4.0])
    total = np.zeros(2)
    total += ops.square(w)
    ops.sum(total).backward()
    np.testing.assert_allclose(w.grad, [2.0, 8.0])


def test_values_in_formatted_text():
    assert f"{ops.mean(Variable([1.0, 2.0])):.3f}, {Variable(2.5):5.1f}" == "1.500,   2.5"
    assert f"{SGD(0.5).learning_rate:g}" == "0.5"
