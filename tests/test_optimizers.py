"""Optimizers: rates, slots, steps at hand; what each rule computes stands in test_rules.py."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from chainrule import ops, optimizers
from chainrule.errors import ArgumentError, GraphError, ShapeError
from chainrule.graph import Variable, gradient, ordered, placeholder
from chainrule.optimizers import SGD, Adam
from chainrule.plan import make_plan

RANDOM = np.random.default_rng(7)
START = RANDOM.standard_normal((4, 3))
GRADIENTS = [RANDOM.standard_normal((4, 3)) * 2.0**-i for i in range(6)]
GRADIENTS[3][0] = 0.0


def steps(optimizer, dtype="float64") -> Iterator[np.ndarray]:
    w = Variable(START, dtype=dtype, name="w")
    for g in GRADIENTS:
        optimizer.apply_gradients([(g.astype(dtype), w)])
        yield w.numpy()


# L-BFGS takes no gradients and no options; tests/test_lbfgs.py.
@pytest.mark.parametrize("name", sorted(optimizers.NAMES.keys() - {"lbfgs"}))
def test_gradients_are_not_modified(name):
    optimizer = optimizers.get(name)
    w, held = Variable(START, name="w"), Variable(GRADIENTS[0], name="g")
    given = GRADIENTS[0].copy()
    optimizer.apply_gradients([(held.leaf, w)])
    optimizer.apply_gradients([(given, w)])
    np.testing.assert_array_equal(held.numpy(), GRADIENTS[0])
    np.testing.assert_array_equal(given, GRADIENTS[0])


def test_a_step_reads_everything_before_it_writes():
    a, b = Variable([1.0], name="a", dtype="float64"), Variable([2.0], name="b", dtype="float64")
    loss = ops.sum(a * b)
    SGD(1.0).apply_gradients(zip(gradient(loss, [a, b]), [a, b], strict=True))
    assert (a.numpy(), b.numpy()) == ([-1.0], [1.0])


def test_updates_are_values_and_change_nothing():
    optimizer, w = Adam(), Variable(START, name="w")
    assigns = optimizer.updates([w.leaf], [w])
    assert [v for v, _ in assigns] == [w, *optimizer.variables[2:], optimizer.iterations]
    assert all((v.shape, v.dtype) == (new.shape, new.dtype) for v, new in assigns)
    assert "adam_update" in {node.op.name for node in ordered([new for _, new in assigns])}
    assert int(optimizer.iterations) == 0
    np.testing.assert_array_equal(w.numpy(), START)


def planned(optimizer, shape=(300, 40)):
    w, g = Variable(np.ones(shape, "float32"), name="w"), placeholder(shape, "float32", "g")
    plan = make_plan([], optimizer.updates([g], [w]))
    loops = [[c.name for c in loop.calls] for phase in plan.phases for loop in phase]
    return [names for names in loops if "adam_update" in names], plan


@pytest.mark.parametrize(
    ("options", "behind"),
    [
        ({"weight_decay": 0.1}, []),
        ({"global_clipnorm": 1.0}, []),
        ({"clipnorm": 1.0, "weight_decay": 0.1}, []),
        ({"loss_scale_factor": 8.0}, []),
        ({"use_ema": True}, ["average_update"]),
    ],
)
def test_factors_and_averages_go_along_with_the_update(options, behind):
    (calls,), plan = planned(optimizers.Adam(**options))
    assert calls == ["adam_update", *behind]
    assert plan.arena_bytes < 300 * 40  # nothing of the weight's size is stored in between


def test_sums_of_squares_read_what_they_square():
    x = placeholder((30, 40), "float32", "x")
    plan = make_plan([ops.sum(ops.square(x)), ops.mean(ops.square(x), axis=0)])
    names = {c.name for phase in plan.phases for loop in phase for c in loop.calls}
    assert "reduce_squares" in names
    assert "square" not in names
    kept = make_plan([ops.square(x), ops.sum(ops.square(x))])
    assert "reduce_squares" not in str(kept)


def test_iterations_count():
    optimizer = SGD()
    list(steps(optimizer))
    assert int(optimizer.iterations) == len(GRADIENTS)
    assert optimizer.iterations.dtype == "int64"


def test_the_rate_can_be_set_between_steps():
    optimizer, w = SGD(1.0), Variable([0.0], dtype="float64")
    optimizer.apply_gradients([(np.array([1.0]), w)])
    optimizer.learning_rate = 0.25
    optimizer.apply_gradients([(np.array([1.0]), w)])
    optimizer.learning_rate.assign(0.5)
    optimizer.apply_gradients([(np.array([1.0]), w)])
    assert w.numpy() == [-1.75]
    assert optimizer.get_config()["learning_rate"] == 0.5
    for wrong in (-1.0, float("nan"), float("inf"), "fast", None, lambda step: step):
        with pytest.raises(ArgumentError):
            optimizer.learning_rate = wrong


def test_a_function_of_the_step_is_a_schedule():
    optimizer, w = SGD(lambda step: 1.0 / (step + 1)), Variable([0.0], dtype="float64")
    for _ in range(3):
        optimizer.apply_gradients([(np.array([1.0]), w)])
    np.testing.assert_allclose(w.numpy(), -(1 + 1 / 2 + 1 / 3))
    with pytest.raises(ArgumentError, match="schedule"):
        optimizer.learning_rate = 0.1
    assert [v.name for v in optimizer.variables] == ["iterations"]


def test_slots_stay_when_other_variables_come():
    a, b = Variable(START, name="a"), Variable(START.astype("float32"), name="b")
    optimizer = Adam()
    optimizer.apply_gradients([(GRADIENTS[0], a)])
    kept = [v.numpy() for v in optimizer.variables]
    optimizer.build([b, a])
    optimizer.build([a])
    names = [v.name for v in optimizer.variables]
    assert names == ["iterations", "learning_rate", "a/m", "a/v", "b/m", "b/v"]
    assert optimizer.variables[-1].dtype == "float32"
    for variable, value in zip(optimizer.variables, kept, strict=False):
        np.testing.assert_array_equal(variable.numpy(), value)
    optimizer.apply_gradients([(GRADIENTS[1], a), (GRADIENTS[1].astype("float32"), b)])


def test_a_variable_without_gradient_stays():
    a, b = Variable(START, name="a"), Variable(START, name="b")
    Adam().apply_gradients([(None, a), (GRADIENTS[0], b)])
    np.testing.assert_array_equal(a.numpy(), START)
    assert (b.numpy() != START).any()


def test_gradients_must_fit():
    w = Variable(START, name="w")
    with pytest.raises(ShapeError, match=r"(?s)'w'.*gradient : \[3\].*variable : \[4, 3\]"):
        SGD().apply_gradients([(np.zeros(3), w)])
    with pytest.raises(GraphError, match="1 gradients for 2 variables"):
        SGD().updates([w.leaf], [w, w])


@pytest.mark.parametrize(
    "make",
    [
        lambda: SGD(-0.1),
        lambda: SGD("0.1 or so"),
        lambda: SGD(momentum=-0.1),
        lambda: SGD(momentum=1.0),
        lambda: Adam(float("nan")),
        lambda: Adam(beta_1=1.0),
        lambda: Adam(beta_2=-0.5),
        lambda: Adam(beta_2="0.9"),
        lambda: Adam(epsilon=-1e-7),
        lambda: optimizers.get(3),
        lambda: optimizers.get({"class_name": "Adamm", "config": {}}),
    ],
)
def test_arguments_are_checked(make):
    with pytest.raises(ArgumentError):
        make()


def test_get():
    for name in ("adam", "Adam", "ADAM"):
        assert isinstance(optimizers.get(name), Adam)
    assert isinstance(optimizers.get(SGD), SGD)
    optimizer = SGD()
    assert optimizers.get(optimizer) is optimizer
    with pytest.raises(ArgumentError, match="unknown optimizer 'adamm'; did you mean 'adam'"):
        optimizers.get("adamm")
