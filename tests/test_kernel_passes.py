"""Products with a kernel too large for the cache are cut along its rows, and stay what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.executors import native, reference, set_num_threads
from chainrule.graph import Value, Variable, gradient, placeholder, registry
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from chainrule.plan import Plan, make_plan
from chainrule.utils import set_random_seed
from plans import calls, plan_of

ROWS, COLUMNS = 2055, 144  # of a kernel of 1.2 MB


def made(optimizer: Any = "adam", activation: str = "tanh", **options: Any) -> Sequential:
    set_random_seed(2)
    wide = Dense(COLUMNS, activation, name="wide")
    model = Sequential([Input((20,)), Dense(ROWS, "tanh"), wide, Dense(3)])
    model.compile(optimizer, "mse", **options)
    return model


def trained(model: Sequential, batch: int, **options: Any) -> list[np.ndarray]:
    rng = np.random.default_rng(batch)
    x, y = rng.standard_normal((3 * batch + 1, 20)), rng.standard_normal((3 * batch + 1, 3))
    model.fit(x, y, batch_size=batch, epochs=2, verbose=0, **options)
    return list(model.get_weights())


def loop_with(plan: Plan, name: str) -> list[str]:
    """The operations of the loop that this one is in."""
    loops = ([c.name for c in loop.calls] for phase in plan.phases for loop in phase)
    return next((names for names in loops if name in names), [])


def copies(plan: Plan) -> list[Any]:
    """The copies of a kernel that an update could not be written over."""
    every = [c for phase in plan.phases for loop in phase for c in loop.calls]
    return [c for c in every if c.name == "reshape" and c.operands[0].spec.size == ROWS * COLUMNS]


@pytest.mark.parametrize("batch", [15, 16, 33, 128, 129])
def test_a_large_kernel_is_read_by_rows(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        model = made()
        found.append(trained(model, batch))
    cut = 16 <= batch <= 128
    plan = plan_of(model)
    together = ["transposed_matmul", "product_adam_update"]
    assert loop_with(plan, "transposed_matmul") == (together if cut else [])
    parts = [c for c in calls(plan) if c == "partial_products"]
    assert len(parts) == cut and not copies(plan)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))
    monkeypatch.setattr("chainrule.plan.kernel_passes._MOST_TURNED", 0)
    whole = made()
    expected = trained(whole, batch)
    assert "transposed_matmul" not in calls(plan_of(whole))
    for a, b in zip(expected, found[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)


@pytest.mark.filterwarnings("ignore:dead relu")
@pytest.mark.parametrize("live", [0, 1, 17, 72, 73, COLUMNS])
def test_units_without_slopes_add_nothing(live: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_dead_units() -> tuple[Sequential, list[np.ndarray]]:
        model = made(activation="relu")
        wide = model.get_layer("wide")
        kernel, bias = wide.get_weights()
        bias[np.random.default_rng(live).permutation(COLUMNS)[live:]] = -100.0
        wide.set_weights([kernel, bias])
        return model, [kernel, bias]

    found = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        model, (kernel, bias) = with_dead_units()
        found.append(trained(model, 32))
    assert loop_with(plan_of(model), "transposed_matmul")
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))
    changed = (model.get_layer("wide").get_weights()[0] != kernel).any(0)
    assert np.array_equal(changed, bias > -100)
    monkeypatch.setattr("chainrule.plan.kernel_passes._MOST_TURNED", 0)
    monkeypatch.setattr("chainrule.plan.kernel_passes._MOST_BATCH", 0)
    whole, _ = with_dead_units()
    for a, b in zip(trained(whole, 32), found[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)
    assert not {"transposed_matmul", "product_adam_update"} & {*calls(plan_of(whole))}


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adamw", "lion"])
def test_any_update_goes_through_the_same_rows(optimizer: str) -> None:
    model = made(optimizer)
    trained(model, 32)
    plan = plan_of(model)
    assert any("update" in name for name in loop_with(plan, "transposed_matmul"))
    assert not copies(plan)


def test_a_kernel_that_is_not_trained() -> None:
    model = made()
    model.get_layer("wide").trainable = False
    model.compile("adam", "mse")
    before = model.get_layer("wide").get_weights()[0]
    trained(model, 32)
    plan = plan_of(model)
    assert loop_with(plan, "transposed_matmul") == ["transposed_matmul"]
    assert "partial_products" not in calls(plan)
    assert np.array_equal(model.get_layer("wide").get_weights()[0], before)


def slopes(batch: int, rows: int, columns: int, kernel: Value | None = None) -> list[Value]:
    """The slopes that go back through a kernel, and those behind them."""
    x = placeholder((batch, rows), "float32", "x")
    w = Variable(np.ones((rows, columns), "float32")).leaf if kernel is None else kernel
    return gradient(ops.sum(ops.square(ops.matmul(ops.tanh(x), w))), [x])


@pytest.mark.parametrize(
    ("batch", "rows", "columns", "turned"),
    [
        (32, 2048, 128, True),
        (32, 2047, 128, False),  # the cache holds it
        (64, 1024, 512, True),
        (64, 1024, 513, False),  # each tile of rows would read too many slopes
    ],
)
def test_which_products_are_turned(batch: int, rows: int, columns: int, turned: bool) -> None:
    assert ("transposed_matmul" in calls(make_plan(slopes(batch, rows, columns)))) is turned


def test_a_kernel_that_is_computed_is_read_whole() -> None:
    kernel = ops.tanh(Variable(np.ones((2048, 128), "float32")).leaf)
    assert "transposed_matmul" not in calls(make_plan(slopes(32, 2048, 128, kernel)))


def test_columns_may_be_an_output_or_read_on() -> None:
    rng = np.random.default_rng(0)
    w = Variable(rng.standard_normal((2048, 128)).astype("float32"), name="w")
    g = placeholder((32, 128), "float32", "g")
    flips = {"transpose_x": False, "transpose_w": True}
    slope = registry()["matmul"].apply((g, w.leaf), flips)
    fed = rng.standard_normal((32, 128)).astype("float32")
    for values in ([slope], [ops.tanh(slope)], [slope, ops.sum(slope, axis=0)]):
        plan = make_plan(values)
        assert "transposed_matmul" in calls(plan)
        results = []
        for load in (native.load, reference.load):
            program = load(plan)
            program.bind("g", fed)
            program.run()
            results.append([np.array(program.output(i)) for i in range(len(values))])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_a_plan_says_what_is_cut_by_columns() -> None:
    text = str(make_plan(slopes(32, 2048, 128)))
    assert "float32[128, 32] by columns = turned(" in text
    assert "float32[32, 2048] by columns = transposed_matmul(" in text
