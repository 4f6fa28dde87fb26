"""Layers that are computed again for the backward pass: the same bits, less memory; limits."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule.ops as ops
from chainrule import layers, optimizers
from chainrule.errors import ArgumentError, MemoryLimitError
from chainrule.executors import native, num_threads, set_num_threads
from chainrule.graph import Value, Variable, gradient, placeholder, scope
from chainrule.layers import Dense, Input
from chainrule.models import Model, Sequential, clone_model, load_model
from chainrule.models.memory import bytes_of
from chainrule.plan import Limit, Plan, make_plan
from chainrule.plan.limit import fitting
from chainrule.plan.recompute import recomputed
from chainrule.training.tape import GradientTape
from chainrule.utils import set_random_seed
from plans import calls, plan_of

NETWORKS = int(os.environ.get("CHAINRULE_RANDOM_NETWORKS", "10"))
RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 6)).astype("float32")
Y = RNG.standard_normal((48, 3)).astype("float32")


def trained(model: Any, threads: int = 2, x: Any = X, y: Any = Y, **options: Any) -> list[bytes]:
    """All weights, running means too, after some steps from weights that depend on shapes alone."""
    set_num_threads(threads)
    rng = np.random.default_rng(1)
    drawn = [rng.standard_normal(v.shape) / np.sqrt(v.shape[0]) for v in model.variables]
    model.set_weights([np.abs(w) if w.ndim == 1 else w for w in drawn])
    model._trainer.key.assign(np.array([7, 0]))
    model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0, **options)
    return [w.tobytes() for w in model.get_weights()]


# Networks drawn at random, each layer of which may be recomputed.


def layer(rng: np.random.Generator, width: int, again: bool) -> layers.Layer:
    choices: list[Callable[[], layers.Layer]] = [
        lambda: Dense(width, activation="relu", recompute=again),
        lambda: Dense(width, activation="tanh", recompute=again),
        lambda: layers.Dropout(0.3, seed=None, recompute=again),
        lambda: layers.BatchNormalization(recompute=again),
        lambda: layers.LayerNormalization(recompute=again),
        lambda: layers.Activation("gelu", recompute=again),
        lambda: layers.GaussianNoise(0.1, recompute=again),
    ]
    return choices[int(rng.integers(len(choices)))]()


def network(seed: int, share: float) -> Model:
    """A graph of blocks, merges, layers used twice and two outputs; a `share` is recomputed."""
    rng, marks = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    x = Input((6,))
    width = int(rng.integers(3, 12))
    pool = [Dense(width, activation="tanh")(x)]
    made: list[layers.Layer] = []
    for _ in range(int(rng.integers(3, 9))):
        value = pool[int(rng.integers(len(pool)))]
        again = bool(marks.random() < share)
        kind = int(rng.integers(5))
        if kind == 0:
            other = pool[int(rng.integers(len(pool)))]
            pool.append(layers.Add(recompute=again)([value, other]))
        elif kind == 1 and made:
            pool.append(made[int(rng.integers(len(made)))](value))
        elif kind == 2:
            inside = [layer(rng, width, False) for _ in range(3)]
            pool.append(Sequential(inside, recompute=again)(value))
        else:
            made.append(layer(rng, width, again))
            pool.append(made[-1](value))
    last = layers.Average()(pool) if len(pool) > 1 else pool[0]
    model = Model(x, [Dense(3, name="p")(last), Dense(3, name="q")(pool[-1])])
    model.compile(optimizers.Adam(0.01), ["mse", "mae"])
    return model


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_the_bits_are_those_without(seed: int) -> None:
    expected = trained(network(seed, 0.0), y=[Y, Y])
    for share, threads in ((0.5, 1), (1.0, 2), (1.0, 3)):
        assert trained(network(seed, share), threads, y=[Y, Y]) == expected


@pytest.mark.parametrize("seed", range(NETWORKS))
def test_random_graphs_keep_their_results(seed: int) -> None:
    """Gradients of random graphs, cut into segments at random; each with and without the pass."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    weights = [Variable(rng.standard_normal((n, n)).astype("float32")) for _ in range(3)]
    pool: list[Value] = [w.leaf for w in weights]
    for i in range(int(rng.integers(4, 20))):
        a, b = (pool[int(k)] for k in rng.integers(0, len(pool), 2))
        with scope.enter(f"layer {i}"):
            makers = [
                lambda a, b: ops.tanh(ops.matmul(a, b)),
                lambda a, b: a * ops.sigmoid(b),
                lambda a, b: a - ops.mean(b, axis=0, keepdims=True),
                lambda a, b: ops.reshape(ops.exp(-ops.square(a)), b.shape),
            ]
            pool.append(makers[int(rng.integers(len(makers)))](a, b))
    loss = ops.sum(ops.square(pool[-1])) + ops.mean(pool[-2])
    values = [loss, *gradient(loss, weights), pool[int(rng.integers(len(pool)))] * 1.0]
    expected = _run(make_plan(values))
    cuts = rng.integers(0, 4, 40)

    def segment_of(path: tuple[str, ...]) -> int | None:
        segment = int(cuts[int(path[-1].split()[1])])
        return segment or None

    from chainrule.plan.build import _planned, optimized

    for kept in ((), {1}, {1, 2, 3}):
        staged = recomputed(optimized(values), segment_of, kept)
        assert _run(_planned(staged, [])) == expected


def _run(plan: Plan) -> list[bytes]:
    program = native.load(plan)
    program.run()
    return [program.output(i).tobytes() for i in range(len(plan.outputs))]


# What it saves.


def deep(count: int, width: int, blocks: int = 0, **options: Any) -> Sequential:
    stack: list[layers.Layer] = [Dense(width, activation="relu") for _ in range(count)]
    if blocks:
        size = -(-count // blocks)
        stack = [Sequential(stack[i : i + size], recompute=True) for i in range(0, count, size)]
    model = Sequential([Input((width,)), *stack, Dense(10)])
    model.compile("sgd", "mse", **options)
    return model


def test_blocks_of_the_square_root_shrink_a_deep_network() -> None:
    # 32 layers: 65 arrays of the size of a layer's output without, 14 with 6 blocks.
    whole, blocks = deep(32, 512).memory(512), deep(32, 512, 6).memory(512)
    assert whole.weights == blocks.weights
    assert whole.buffers > 4.6 * blocks.buffers
    assert blocks.buffers < 14.1 * 512 * 512 * 4


def test_a_block_is_computed_again_but_for_what_is_kept_anyway() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 16)), rng.standard_normal((64, 10))
    counts = []
    for blocks in (0, 2):
        model = deep(8, 16, blocks)
        trained(model, x=x, y=y)
        counts.append(calls(plan_of(model)).count("dense"))
    # The last layer of each block is not: the next block, or the last layer, reads its output.
    assert counts == [9, 9 + 2 * 3]


def test_a_layer_whose_output_is_read_anyway_costs_nothing() -> None:
    with_mark = Sequential([Input((6,)), Dense(8, "relu", recompute=True), Dense(3)])
    without = Sequential([Input((6,)), Dense(8, "relu"), Dense(3)])
    for model in (with_mark, without):
        model.compile("sgd", "mse")
        trained(model)
    assert sorted(calls(plan_of(with_mark))) == sorted(calls(plan_of(without)))


def test_prediction_and_evaluation_compute_nothing_again() -> None:
    model, plain = deep(6, 8, 2), deep(6, 8)
    x = np.ones((16, 8), "float32")
    for m in (model, plain):
        m.predict(x, verbose=0)
        m.evaluate(x, np.ones((16, 10)), verbose=0)
    for kind in ("predict", "evaluate"):
        found = [
            calls(step.program.plan)
            for m in (model, plain)
            for layout, step in m._trainer._steps.items()
            if layout.kind == kind
        ]
        assert found[0] == found[1]


def test_running_means_move_once() -> None:
    means = []
    for again in (False, True):
        block = Sequential([layers.BatchNormalization(), Dense(6, "relu")], recompute=again)
        model = Sequential([Input((6,)), block, Dense(5, "relu"), Dense(3)])
        model.compile(optimizers.SGD(0.0), "mse")
        model.fit(X, Y, batch_size=48, verbose=0)
        means.append(model.variables[2].numpy())
    np.testing.assert_allclose(means[0], 0.01 * X.mean(0), rtol=1e-4, atol=1e-7)
    assert means[0].tobytes() == means[1].tobytes()


def test_loops_by_hand() -> None:
    found = []
    for again in (False, True):
        block = Sequential([Dense(8, "tanh"), layers.Dropout(0.5), Dense(8)], recompute=again)
        model = Sequential([Input((6,)), block, Dense(5, "relu"), Dense(3)])
        rng = np.random.default_rng(2)
        model.set_weights([rng.standard_normal(v.shape) for v in model.variables])
        set_random_seed(3)
        with GradientTape() as tape:
            loss = ops.mean(ops.square(model(X, training=True) - Y))
        gradients = tape.gradient(loss, model.trainable_variables)
        found.append([float(loss), *(g.numpy().tobytes() for g in gradients)])
    assert found[0] == found[1]


def test_a_gradient_within_a_layer() -> None:
    class Slope(layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            return gradient(ops.sum(ops.tanh(x) * ops.square(x)), [x])[0]

    found = []
    for again in (False, True):
        block = Sequential([Dense(8, "tanh"), Slope(), Dense(8)], recompute=again)
        model = Sequential([Input((6,)), block, Dense(5, "relu"), Dense(3)])
        model.compile("sgd", "mse")
        found.append(trained(model))
    assert found[0] == found[1]


# A limit of memory.


def test_a_limit_is_kept_with_as_little_as_it_takes() -> None:
    total = deep(16, 64).memory(256).total
    least = 10**12
    costs = []
    for share in (1.0, 0.9, 0.8, 0.7, 0.65):
        model = deep(16, 64, memory_limit=int(share * total))
        found = model.memory(256).total
        assert found <= share * total and found <= least
        least = found
        x, y = np.ones((256, 64), "float32"), np.ones((256, 10), "float32")
        model.fit(x, y, batch_size=256, verbose=0)
        costs.append(calls(plan_of(model)).count("dense") - 17)
    # At first it is enough that the gradients of one layer are used before the next are found.
    assert costs[0] == costs[1] == 0 < costs[-1]
    assert costs == sorted(costs)


@pytest.mark.parametrize("share", [0.9, 0.7])
def test_with_a_limit_the_bits_are_the_same(share: float) -> None:
    def model(**options: Any) -> Sequential:
        stack: list[layers.Layer] = []
        for _ in range(6):
            stack += [Dense(32, "relu"), layers.BatchNormalization(), layers.Dropout(0.2)]
        made = Sequential([Input((6,)), *stack, Dense(3)])
        made.compile(optimizers.SGD(0.1, momentum=0.9), "mse", **options)
        return made

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((512, 6)), rng.standard_normal((512, 3))
    free = model()
    before = free.memory(16)
    beside = before.total - before.buffers
    limit = beside + int(share * before.buffers)
    assert trained(model(memory_limit=limit), x=x, y=y) == trained(free, x=x, y=y)


def test_a_limit_that_cannot_be_kept() -> None:
    model = deep(4, 32, memory_limit="30 kB")
    with pytest.raises(MemoryLimitError, match="memory_limit of 30,000 bytes") as error:
        model.memory(64)
    least = int(str(error.value).split()[4].replace(",", ""))
    missing = int(str(error.value).split()[6].replace(",", ""))
    assert least - missing == 30_000
    with pytest.raises(MemoryLimitError):
        model.fit(np.ones((64, 32)), np.ones((64, 10)), batch_size=64, verbose=0)
    model.compile("sgd", "mse", memory_limit=least)
    assert model.memory(64).total <= least
    # Weights and scratch alone are too much.
    with pytest.raises(MemoryLimitError):
        make_plan([], [(Variable([1.0]), placeholder((1,), "float64", "x"))], Limit(7, 8))


@pytest.mark.parametrize(
    ("given", "nbytes"),
    [(5, 5), ("5", 5), ("64MB", 64 * 10**6), ("1.5 GiB", 3 << 29), (" 2 kib", 2048), (None, None)],
)
def test_limits_in_words(given: Any, nbytes: int | None) -> None:
    assert bytes_of(given) == nbytes


@pytest.mark.parametrize(
    "given", [0, -5, "", "much", "5 XB", "MB", True, float("nan"), [3], "1e99"]
)
def test_limits_that_are_none(given: Any) -> None:
    with pytest.raises(ArgumentError, match="memory_limit"):
        deep(1, 4, memory_limit=given)


def test_without_a_limit_there_is_one_plan() -> None:
    made = []

    def planned(staged: Any) -> Any:
        made.append(staged)
        return None

    fitting([ops.tanh(placeholder((2,), "float32", "x"))], planned, None)
    assert len(made) == 1 and made[0].cost == 0 and not made[0].stage


# The figures.


class Own(Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.drop, self.out = Dense(8), layers.Dropout(0.5), Dense(3)

    def call(self, x: Any) -> Any:
        return self.out(self.drop(ops.relu(self.hidden(x))))


def nested() -> Model:
    x = Input((6,))
    block = Sequential([Input((6,)), Dense(6, "relu"), layers.BatchNormalization()])
    return Model(x, Dense(3)(layers.Add()([block(block(x)), x])))


def forked() -> Model:
    x = Input((6,))
    hidden = Dense(8, "relu")(x)
    return Model(x, [Dense(3)(hidden), Dense(3)(hidden)])


@pytest.mark.parametrize("make", [Own, nested, forked, lambda: deep(3, 6, 1)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "global_clipnorm": 1.0},
        {"adaptive_clip": 0.1, "skip_nonfinite": True},
    ],
)
def test_the_figure_is_what_the_program_allocates(
    make: Callable[[], Any], options: dict[str, Any]
) -> None:
    model = make()
    model.compile(optimizers.Adam(**options), "mse")
    y = np.ones((48, 10), "float32") if isinstance(model, Sequential) else Y
    y = [y, y] if len(model.output_names) > 1 else y
    model.fit(X, y, batch_size=16, verbose=0)
    found = model.memory(16)
    program = next(s.program for k, s in model._trainer._steps.items() if k.kind == "train")
    assert found.buffers == program._program.arena_bytes
    assert found.weights == sum(v.value.nbytes for v in model.variables)
    assert found.optimizer == sum(v.value.nbytes for v in model.optimizer.variables)
    assert found.scratch == program._program.scratch_bytes(num_threads())


def test_the_figure_of_a_model_that_is_not_compiled_is_that_of_predict() -> None:
    model = Sequential([Input((6,)), Dense(8, "relu"), layers.LayerNormalization(), Dense(3)])
    found = model.memory(256)
    model.predict(np.ones((256, 6)), verbose=0)
    (step,) = model._any_trainer()._steps.values()
    assert found.buffers == step.program._program.arena_bytes
    assert not found.training and "to predict" in str(found) and "copy" not in str(found)


def test_accumulation_holds_no_array_of_the_size_of_the_weights() -> None:
    # Whether a step is due is one bit: spread over the weights it lay in the arena, a byte each.
    x = Sequential([Input((512,)), Dense(512, "relu"), Dense(512, "relu"), Dense(10)])
    x.compile(optimizers.Adam(), "mse")
    plain = x.memory(8).buffers
    x.compile(optimizers.Adam(gradient_accumulation_steps=4), "mse")
    assert x.memory(8).buffers <= 1.01 * plain


def test_zeros_are_made_where_they_are_read() -> None:
    x = placeholder((64, 64), "float32", "x")
    zeros = ops.zeros((64, 64), "float32")
    first = ops.where(x > 0.0, x, zeros)
    second = ops.where(x < 1.0, ops.matmul(ops.transpose(first), x), zeros)
    plan = make_plan([second])
    assert calls(plan).count("fill") == 3  # zeros twice, and the ones to compare with
    assert len(plan.phases) == 2
    # In the arena is what the product reads whole, and nothing else.
    assert plan.arena_bytes == first.size * 4


def test_with_a_limit_units_are_clipped_layer_by_layer() -> None:
    # The length of a gradient is known when all of it is: without a limit all lie there at once.
    def model(**options: Any) -> Sequential:
        stack: list[layers.Layer] = [Dense(128, "relu") for _ in range(6)]
        made = Sequential([Input((128,)), *stack, Dense(3)])
        made.compile(optimizers.SGD(0.1, adaptive_clip=0.1), "mse", **options)
        return made

    free = model().memory(16)
    assert free.buffers > free.weights
    limit = free.total - free.buffers // 2
    held = model(memory_limit=limit).memory(16)
    assert held.buffers < 0.5 * free.buffers
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 128)), rng.standard_normal((64, 3))
    assert trained(model(), x=x, y=y) == trained(model(memory_limit=limit), x=x, y=y)


# Files and copies.


def test_recompute_is_kept_in_files(tmp_path: Any) -> None:
    x = Input((6,))
    block = Sequential([Input((6,)), Dense(6, "relu", recompute=True)], recompute=True, name="b")
    inner = Model(i := Input((6,)), Dense(6)(i), name="m", recompute=True)
    model = Model(x, Dense(3)(inner(block(x))))
    model.compile("sgd", "mse", memory_limit="2 MB")
    path = tmp_path / "model.chainrule"
    model.save(path)
    for again in (load_model(path), clone_model(model)):
        assert again.get_layer("b").recompute and again.get_layer("m").recompute
        assert again.get_layer("b").layers[0].recompute and not again.recompute
    assert load_model(path)._trainer.memory_limit == 2_000_000


def test_recompute_is_in_the_configuration_where_it_is_set() -> None:
    assert "recompute" not in Dense(3).get_config()
    config = Dense(3, recompute=True).get_config()
    assert Dense.from_config(config).recompute
    later = Dense(3)
    later.recompute = True
    assert later.get_config()["recompute"] is True
