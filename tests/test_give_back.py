"""What planning took is free at once, and goes back to the system before training begins."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chainrule import Variable, ops
from chainrule.executors import native
from chainrule.graph import Node, gradient, placeholder
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from chainrule.plan import make_plan


def resident() -> int:
    """Bytes of this process's own memory that are there."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others give back by themselves")
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux")
def test_freed_memory_goes_back() -> None:
    pieces = [np.ones(8192) for _ in range(1000)]  # 64 MB, of the size that is kept
    held = pieces[::100]
    before = resident()
    del pieces
    native.give_back_freed()
    assert before - resident() > 50e6
    assert all((piece == 1).all() for piece in held)


def test_a_step_that_is_built_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr(native, "give_back_freed", lambda: calls.append(None))
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((10, 2)), np.zeros((10, 1))
    model.fit(x, y, batch_size=5, verbose=0)
    built = len(calls)
    model.fit(x, y, batch_size=5, verbose=0)
    assert built >= 1 and len(calls) == built


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The collector of cycles does not run."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def nodes() -> int:
    """How many nodes there are, held or waiting for the collector."""
    # By its type: some objects of other packages answer with warnings when asked for their class.
    return sum(issubclass(type(one), Node) for one in gc.get_objects())


def test_graphs_do_not_wait_for_the_collector(no_collector: None) -> None:
    before = nodes()
    w, b = Variable(np.ones((4, 3), "float32")), Variable(np.zeros(3, "float32"))
    x = placeholder((8, 4), "float32", "x")
    y = ops.mean(ops.square(ops.relu(ops.add(ops.matmul(x, w), b))))
    moved = ops.subtract(w, ops.multiply(gradient(y, [w])[0], 0.1))
    traced = nodes()
    plan = make_plan([y], [(w, moved)])
    assert before < traced
    # Of all that the passes have made there is what the plan holds, beside the graph given.
    assert nodes() <= traced + len(plan.nodes)
    del plan, y, moved
    assert nodes() == before


def test_an_output_is_the_same_while_someone_holds_it(no_collector: None) -> None:
    y = ops.max_pool(placeholder((1, 4, 4, 1), "float32", "x"), 2)
    node = y.node  # its second output, the places of the maxima, no one holds
    assert node.outputs[0] is y
    place = node.outputs[1]
    assert node.outputs[0] is y and node.outputs[1] is place
    assert (place.node, place.index, place.spec) == (node, 1, node.specs[1])
