"""Plans: golden text, passes that keep results, memory in which nothing live overlaps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import chainrule.ops as ops
from chainrule.errors import GraphError, ShapeError
from chainrule.executors import native, reference, run, set_num_threads
from chainrule.graph import Value, Variable, constant, gradient, placeholder, show
from chainrule.plan import Plan, make_plan
from chainrule.plan.memory import Interval, pack
from chainrule.plan.passes import PASSES, fold_constants, fuse_dense, merge_equal, simplify
from chainrule.plan.verify import verify_graph, verify_plan
from plans import calls


def network(batch: int = 32) -> tuple[Value, list[Variable]]:
    rng = np.random.default_rng(0)
    weights = [
        Variable(rng.standard_normal(s).astype("float32"), name=n)
        for n, s in (("w1", (6, 5)), ("b1", (5,)), ("w2", (5, 3)), ("b2", (3,)))
    ]
    x = placeholder((batch, 6), "float32", "x")
    h = ops.relu(ops.matmul(x, weights[0]) + weights[1])
    y = ops.matmul(h, weights[2]) + weights[3]
    return ops.mean(ops.square(y)), weights


def step(batch: int = 32) -> Plan:
    loss, weights = network(batch)
    gradients = gradient(loss, weights)
    assigns = [(w, w.leaf - 0.1 * g) for w, g in zip(weights, gradients, strict=True)]
    return make_plan([loss], assigns)


def test_a_plan_prints() -> None:
    x = placeholder((4, 3), "float32", "x")
    w = Variable(np.ones((3, 2), "float32"), name="w")
    b = Variable(np.zeros(2, "float32"), name="b")
    plan = make_plan([ops.relu(ops.matmul(x, w) + b)])
    assert str(plan) == (
        "arena 0 bytes, scratch 0 bytes a thread, state 32 bytes\n"
        "phase 0\n"
        "  loop over 4 rows, 4 at a time\n"
        "    output:float32[4, 2] = dense(x:float32[4, 3], w:float32[3, 2] whole, "
        "b:float32[2] whole; activation=relu)"
    )


def test_a_step_of_a_perceptron_takes_two_phases() -> None:
    plan = step()
    assert len(plan.phases) <= 3
    assert calls(plan).count("dense") == 2
    # No gradient of the data: two weight gradients and one gradient of the hidden layer.
    assert calls(plan).count("matmul") == 3


def test_native_and_reference_take_the_same_step() -> None:
    x = np.random.default_rng(1).standard_normal((32, 6)).astype("float32")
    results = []
    for executor in (native, reference):
        loss, weights = network()
        gradients = gradient(loss, weights)
        plan = make_plan(
            [loss], [(w, w.leaf - 0.1 * g) for w, g in zip(weights, gradients, strict=True)]
        )
        program = executor.load(plan)
        program.bind("x", x)
        program.run(3)
        results.append([program.output(0).copy(), *(w.numpy() for w in weights)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def trained(batch: int, sizes: tuple[int, ...], executor: object = native) -> tuple[Plan, list]:
    """One step of descent on a perceptron: the plan, and the weights after it."""
    rng = np.random.default_rng(1)
    weights = []
    for n, m in itertools.pairwise(sizes):
        kernel = (rng.standard_normal((n, m)) / np.sqrt(n)).astype("float32")
        weights += [Variable(kernel), Variable(np.zeros(m, "float32"))]
    x = placeholder((batch, sizes[0]), "float32", "x")
    h: Value = x
    for w, b in zip(weights[::2], weights[1::2], strict=True):
        h = ops.tanh(ops.matmul(h, w) + b)
    loss = ops.sum(ops.square(h))
    assigns = [
        (w, w.leaf - 0.01 * g) for w, g in zip(weights, gradient(loss, weights), strict=True)
    ]
    plan = make_plan([], assigns)
    program = executor.load(plan)  # type: ignore[attr-defined]
    program.bind("x", rng.standard_normal((batch, sizes[0])).astype("float32"))
    program.run()
    return plan, [w.numpy() for w in weights]


@pytest.mark.parametrize(
    ("batch", "sizes", "parts"),
    [
        (32, (784, 128, 10), 8),
        (128, (784, 128, 10), 4),  # more parts would make the partial sums larger than the kernel
        (512, (784, 128, 10), 0),
        (1, (300, 64), 6),
        (8, (997, 64), 0),  # a prime number of rows
        (16, (64, 64), 0),  # a kernel that travels in no time
    ],
)
def test_a_small_batch_is_cut_along_the_first_kernel(
    batch: int, sizes: tuple[int, ...], parts: int
) -> None:
    plan, found = trained(batch, sizes)
    cut = [c for phase in plan.phases for p in phase for c in p.calls]
    shapes = [c.operands[-1].spec.shape for c in cut if c.name == "partial_products"]
    assert shapes == ([(parts, batch, sizes[1])] if parts else [])
    # The kernel of a later layer is read again for the gradient of its input.
    assert calls(plan).count("dense") + len(shapes) == len(sizes) - 1
    _, expected = trained(batch, sizes, reference)
    for e, f in zip(expected, found, strict=True):
        np.testing.assert_allclose(f, e, rtol=2e-5, atol=2e-6)


def test_without_training_nothing_is_cut() -> None:
    x = placeholder((32, 784), "float32", "x")
    w, b = Variable(np.ones((784, 128), "float32")), Variable(np.zeros(128, "float32"))
    assert calls(make_plan([ops.matmul(x, w) + b])) == ["dense"]


def test_a_gathered_batch_is_checked_where_it_lies() -> None:
    whole = placeholder((100, 784), "float32", "x")
    index = placeholder((64,), "int64", "index")
    x = ops.require_finite(ops.take(whole, index, axis=0), 1)
    w = Variable(np.ones((784, 8), "float32"))
    slope = gradient(ops.sum(ops.square(ops.matmul(x, w))), [w])[0]
    plan = make_plan([], [(w, w.leaf - 0.1 * slope)])
    take, check = (c for c in plan.phases[0][0].calls if c.name in ("take", "require_finite"))
    assert take.operands[-1].place == check.operands[0].place == check.operands[-1].place
    assert check.operands[-1].place.kind == "arena"


def test_equal_nodes_are_computed_once() -> None:
    x = placeholder((4,), "float32", "x")
    plan = make_plan([ops.add(ops.tanh(x), ops.exp(ops.tanh(x)))])
    assert calls(plan).count("tanh") == 1


def test_constants_are_folded() -> None:
    x = placeholder((4,), "float32", "x")
    c = ops.exp(constant(np.zeros(4, "float32"))) + 1.0
    assert calls(make_plan([ops.multiply(x, c)])) == ["multiply"]


def test_what_nobody_needs_is_not_computed() -> None:
    x = placeholder((4, 4), "float32", "x")
    ops.exp(x)
    assert calls(make_plan([ops.tanh(x)])) == ["tanh"]


def test_swapped_variables() -> None:
    a, b = Variable([1.0, 2.0]), Variable([3.0, 4.0])
    program = native.load(make_plan([], [(a, b.leaf), (b, a.leaf)]))
    program.run()
    assert a.numpy().tolist() == [3.0, 4.0]
    assert b.numpy().tolist() == [1.0, 2.0]


def test_a_value_read_after_its_variable_changes() -> None:
    w = Variable(np.eye(3, dtype="float32"))
    x = placeholder((3, 3), "float32", "x")
    new = w.leaf + ops.matmul(x, w)
    plan = make_plan([ops.matmul(new, w)], [(w, new)])
    program = native.load(plan)
    program.bind("x", np.full((3, 3), 2.0, "float32"))
    program.run()
    np.testing.assert_allclose(w.numpy(), np.eye(3) + 2)
    np.testing.assert_allclose(program.output(0), np.eye(3) + 2)


def test_outputs_that_are_leaves_or_views_or_equal() -> None:
    x = placeholder((2, 3), "float32", "x")
    y = ops.tanh(x)
    program = native.load(make_plan([x, y, y, ops.reshape(y, (6,)), constant(2.0)]))
    fed = np.arange(6, dtype="float32").reshape(2, 3)
    program.bind("x", fed)
    program.run()
    np.testing.assert_allclose(program.output(0), fed)
    np.testing.assert_allclose(program.output(2), np.tanh(fed), rtol=1e-6)
    np.testing.assert_allclose(program.output(3), np.tanh(fed).ravel(), rtol=1e-6)
    assert program.output(4) == 2.0


def test_assigning_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"'w' is float32\[2\]"):
        make_plan([], [(Variable(np.ones(2, "float32"), name="w"), constant([1.0]))])


def test_streams_advance() -> None:
    x = placeholder((2, 3), "float32", "x")
    data = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
    out = np.empty((8, 3), "float32")
    for executor in (native, reference):
        program = executor.load(make_plan([ops.exp(x)]))
        program.bind("x", data, 24)
        program.bind_output(0, out, 24)
        assert program.run(4) == 4
        np.testing.assert_allclose(out, np.exp(data), rtol=1e-6)


def test_pack_never_overlaps_live_buffers() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        intervals = []
        for key in range(rng.integers(1, 30)):
            first, last = sorted(rng.integers(0, 10, 2).tolist())
            intervals.append(Interval(key, int(rng.integers(0, 1000)), first, last))
        offsets, total = pack(intervals)
        for a in intervals:
            assert offsets[a.key] % 64 == 0 and offsets[a.key] + a.size <= total
            for b in intervals:
                alive = a.first <= b.last and b.first <= a.last
                if a.key != b.key and alive and a.size and b.size:
                    apart = offsets[a.key] + a.size <= offsets[b.key]
                    assert apart or offsets[b.key] + b.size <= offsets[a.key]


def test_the_verifier_sees_a_read_before_a_write() -> None:
    plan = step()
    plan.phases.reverse()
    with pytest.raises(GraphError, match="before it is written"):
        verify_plan(plan)


def random_graph(rng: np.random.Generator) -> list[Value]:
    """Return outputs of a random graph over a few arrays, elementwise, reductions and products."""
    n, m = int(rng.integers(1, 20)), int(rng.integers(1, 9))
    pool = [constant(rng.standard_normal((n, m)).astype("float32")) for _ in range(2)]
    pool += [Variable(rng.standard_normal((n, m)).astype("float32")).leaf for _ in range(2)]
    for _ in range(int(rng.integers(3, 25))):
        x, y = (pool[i] for i in rng.integers(0, len(pool), 2))
        choice = int(rng.integers(0, 10))
        if choice < 4:
            pool.append([ops.add, ops.multiply, ops.maximum, ops.subtract][choice](x, y))
        elif choice < 6:
            pool.append(ops.tanh(x) if choice == 4 else ops.relu(x))
        elif choice == 6:
            pool.append(ops.add(x, ops.sum(y, axis=0, keepdims=True)))
        elif choice == 7:
            pool.append(ops.multiply(ops.tanh(x), ops.mean(y, axis=1, keepdims=True)))
        elif choice == 8:
            pool.append(ops.tanh(ops.matmul(ops.matmul(x, ops.transpose(y)), x)))
        else:
            pool.append(ops.reshape(ops.reshape(x, (n * m,)) * 0.5, (n, m)))
    picked = rng.integers(0, len(pool), 3)
    return [pool[int(i)] for i in picked] + [ops.sum(pool[-1])]


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_keep_their_results(seed: int) -> None:
    outputs = random_graph(np.random.default_rng(seed))
    expected = [_evaluate(v) for v in outputs]
    changed = list(outputs)
    for one in (*PASSES, merge_equal, fold_constants, simplify, fuse_dense):
        changed = one(changed)
        verify_graph(changed, one.__name__)
        for a, b in zip(expected, changed, strict=True):
            np.testing.assert_allclose(_evaluate(b), a, rtol=2e-4, atol=2e-4)
    bits = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        results = run(outputs)
        bits.append([r.tobytes() for r in results])
        for a, b in zip(expected, results, strict=True):
            np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-4)
    assert bits[0] == bits[1] == bits[2]


def _evaluate(value: Value) -> np.ndarray:
    """Return the value by the bodies of its operations, without any pass."""
    from chainrule.graph import ordered
    from chainrule.graph.primitive import run_body

    known: dict[Value, np.ndarray] = {}
    for node in ordered([value]):
        arrays = [known.get(a, a.numpy() if a.node is None else None) for a in node.arguments]
        results = run_body(node.op, arrays, dict(node.attributes))
        known.update(zip(node.outputs, results, strict=True))
    return known.get(value, value.numpy() if value.node is None else None)


def test_a_graph_prints() -> None:
    x = placeholder((2, 3), "float32", "x")
    assert show(ops.tanh(x)).splitlines()[1] == "%0: float32[2, 3] = tanh(x)"
