"""``python -m benchmarks.insight``: what looking into a network costs, as a share of ``fit``.

The same training bare, with statistics at the default rate, with statistics of each step, and with
the doctor; in turns, the shortest epoch of each counts. What is done once, before the first epoch
and after the last, is measured by itself, and so are the weights at the end, which must be the same
to the bit. An epoch is as long as a second of bare training or so.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

import chainrule
from chainrule.callbacks import Callback, GradientDoctor, LayerStatistics
from chainrule.layers import LSTM, Conv2D, Dense, Flatten, Input, MaxPooling2D
from chainrule.utils import set_random_seed

from .report import Sheet

WAYS: dict[str, Callable[[], list[Callback]]] = {
    "bare": list,
    "default rate": lambda: [LayerStatistics()],
    "each step": lambda: [LayerStatistics(1)],
    "doctor": lambda: [GradientDoctor()],
}


@dataclass(frozen=True)
class Case:
    """A network, and how long an epoch is."""

    name: str
    shape: tuple[int, ...]
    layers: Callable[[], list[Any]]
    batch: int
    steps: int


CASES = (
    Case("784-128-10, batch 32", (784,), lambda: [Dense(128, "relu")], 32, 2000),
    Case("784-128-10, batch 128", (784,), lambda: [Dense(128, "relu")], 128, 1000),
    Case("784-128-10, batch 512", (784,), lambda: [Dense(128, "relu")], 512, 300),
    Case(
        "28x28, 32 and 64 filters, dense 128, batch 32",
        (28, 28, 1),
        lambda: [
            Conv2D(32, 3, activation="relu"), MaxPooling2D(),
            Conv2D(64, 3, activation="relu"), MaxPooling2D(),
            Flatten(), Dense(128, "relu"),
        ],
        32,
        200,
    ),
    Case("LSTM of 128, 100 x 64, batch 32", (100, 64), lambda: [LSTM(128)], 32, 100),
)  # fmt: skip


class Clock(Callback):
    """Takes the seconds of each epoch, what callbacks do at its ends included."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note when the first one begins."""
        if not self.ends:
            self.ends.append(time.perf_counter())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note when one ends."""
        self.ends.append(time.perf_counter())


def train(case: Case, way: str, epochs: int) -> tuple[float, float, bytes]:
    """Seconds of the shortest epoch but the first, of all that is not an epoch, and the weights."""
    set_random_seed(1)
    random = np.random.default_rng(0)
    n = case.batch * min(case.steps, 50)
    # Something that can be learnt: of a network that learns nothing the doctor tries out why.
    x = random.standard_normal((n, *case.shape), "float32")
    y = (x.reshape(n, -1)[:, -20:] @ random.standard_normal((20, 10))).argmax(axis=1)
    x = np.concatenate([x] * (case.steps // min(case.steps, 50)))
    y = np.tile(y, len(x) // n)
    model = chainrule.Sequential([Input(case.shape), *case.layers(), Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    clock = Clock()
    begin = time.perf_counter()
    # The clock is the last to be told, so that an epoch ends after the others' work.
    callbacks = [*WAYS[way](), clock]
    model.fit(x, y, batch_size=case.batch, epochs=epochs, verbose=0, callbacks=callbacks)
    whole = time.perf_counter() - begin
    lengths = np.diff(clock.ends)
    weights = b"".join(v.numpy().tobytes() for v in model.variables)
    return float(lengths[1:].min()), whole - float(lengths.sum()), weights


def measure(case: Case, rounds: int, epochs: int) -> dict[str, tuple[float, float]]:
    """Of each way the shortest epoch, and the shortest time outside of epochs."""
    found: dict[str, tuple[float, float]] = {}
    weights = set()
    for _ in range(rounds):
        for way in WAYS:
            seconds, once, last = train(case, way, epochs)
            before = found.get(way, (seconds, once))
            found[way] = min(before[0], seconds), min(before[1], once)
            weights.add(last)
    if len(weights) > 1:
        raise SystemExit(f"{case.name}: looking has changed the weights")
    return found


def line(case: Case, found: dict[str, tuple[float, float]]) -> list[str]:
    """A row of the table."""
    bare, once = found["bare"]
    step = f"{1e6 * bare / case.steps:,.0f} us"
    shares = [f"{100 * (found[way][0] / bare - 1):+.1f} %" for way in list(WAYS)[1:]]
    return [case.name, step, *shares, f"{1e3 * (found['doctor'][1] - once):,.0f} ms"]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insight", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many")
    parser.add_argument("--epochs", type=int, default=4, help="of each run, at least 2")
    options = parser.parse_args(arguments)
    lines = [line(case, measure(case, options.rounds, max(options.epochs, 2))) for case in CASES]
    header = ["network", "a step", *list(WAYS)[1:], "doctor, once"]
    Sheet("What looking costs", header, lines).show(Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
