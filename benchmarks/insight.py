"""``python -m benchmarks.insight``: what looking into a network costs, as a share of ``fit``.

The same training bare, with statistics at the default rate, with statistics of each step, and with
the doctor. All four go on side by side, an epoch of each in turn, a third of a second long or so;
of the shares that an epoch takes longer than the bare one of its round the median counts, since the
machine has slow seconds and fast ones. What the doctor does besides (before the first epoch, at the
ends of some, after the last) is added up. The weights at the end must be the same to the bit.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
_DIFFERENT = 40  # batches, that an epoch goes through again and again


@dataclass(frozen=True)
class Case:
    """A network, and the steps of an epoch, a multiple of those over different samples."""

    name: str
    shape: tuple[int, ...]
    layers: Callable[[], list[Any]]
    batch: int
    steps: int


CASES = (
    Case("784-128-10, batch 32", (784,), lambda: [Dense(128, "relu")], 32, 3000),
    Case("784-128-10, batch 128", (784,), lambda: [Dense(128, "relu")], 128, 1000),
    Case("784-128-10, batch 512", (784,), lambda: [Dense(128, "relu")], 512, 240),
    Case(
        "28x28, 32 and 64 filters, dense 128, batch 32",
        (28, 28, 1),
        lambda: [
            Conv2D(32, 3, activation="relu"), MaxPooling2D(),
            Conv2D(64, 3, activation="relu"), MaxPooling2D(),
            Flatten(), Dense(128, "relu"),
        ],
        32,
        120,
    ),
    Case("LSTM of 128, 100 x 64, batch 32", (100, 64), lambda: [LSTM(128)], 32, 40),
)  # fmt: skip


class Turns:
    """Lets threads go on one after the other."""

    def __init__(self, names: list[str]) -> None:
        self._order = names
        self._passed = threading.Condition()

    def wait(self, name: str) -> None:
        """Return when it is this one's turn."""
        with self._passed:
            self._passed.wait_for(lambda: self._order[0] == name)

    def pass_on(self, name: str) -> float:
        """Let the others go on in turn; return the seconds until it is this one's turn again."""
        begin = time.perf_counter()
        with self._passed:
            self._order.append(self._order.pop(0))
            self._passed.notify_all()
        self.wait(name)
        return time.perf_counter() - begin

    def leave(self) -> None:
        """Let the others go on without the one whose turn it is."""
        with self._passed:
            self._order.pop(0)
            self._passed.notify_all()


class Clock(Callback):
    """Waits for its turn at each epoch, and takes how long it is, the callbacks before included."""

    def __init__(self, turns: Turns, name: str) -> None:
        self._turns, self._name = turns, name
        self._began = 0.0
        self.waited = 0.0
        self.lengths: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Let the others have an epoch."""
        self.waited += self._turns.pass_on(self._name)
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note how long it took."""
        self.lengths.append(time.perf_counter() - self._began)


@dataclass
class Taken:
    """The seconds of each epoch, those of everything, and the weights at the end."""

    lengths: Any
    whole: float
    weights: bytes


def train(case: Case, way: str, epochs: int, turns: Turns) -> Taken:
    """Train in one of the four ways, in its turns."""
    turns.wait(way)
    try:
        # Something that can be learnt: of a network that learns nothing the doctor tries out why.
        random = np.random.default_rng(0)
        n = case.batch * _DIFFERENT
        x = random.standard_normal((n, *case.shape), "float32")
        y = (x.reshape(n, -1)[:, -20:] @ random.standard_normal((20, 10))).argmax(axis=1)
        x = np.concatenate([x] * (case.steps // _DIFFERENT))
        y = np.tile(y, case.steps // _DIFFERENT)
        set_random_seed(1)
        model = chainrule.Sequential([Input(case.shape), *case.layers(), Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        clock = Clock(turns, way)
        # The clock is the last to be told, so that an epoch ends after the others' work.
        callbacks = [*WAYS[way](), clock]
        begin = time.perf_counter()
        model.fit(x, y, case.batch, epochs, verbose=0, callbacks=callbacks)
        whole = time.perf_counter() - begin - clock.waited
    finally:
        turns.leave()
    weights = b"".join(v.numpy().tobytes() for v in model.variables)
    return Taken(np.array(clock.lengths[1:]), whole, weights)


def measure(case: Case, epochs: int) -> dict[str, Taken]:
    """Train in all ways side by side."""
    turns = Turns(list(WAYS))
    with ThreadPoolExecutor(len(WAYS)) as pool:
        runs = {way: pool.submit(train, case, way, epochs, turns) for way in WAYS}
    found = {way: run.result() for way, run in runs.items()}
    if len({taken.weights for taken in found.values()}) > 1:
        raise SystemExit(f"{case.name}: looking has changed the weights")
    return found


def line(case: Case, found: dict[str, Taken]) -> list[str]:
    """A row of the table."""
    bare, doctor = found["bare"], found["doctor"]
    shares = {way: 100 * np.median(t.lengths / bare.lengths - 1) for way, t in found.items()}
    usual = float(np.median(doctor.lengths)) * (1 + len(doctor.lengths))
    besides = doctor.whole - usual - (bare.whole - float(bare.lengths.sum()))
    step = f"{1e6 * bare.lengths.min() / case.steps:,.0f} us"
    told = [f"{shares[way]:+.1f} %" for way in list(WAYS)[1:]]
    return [case.name, step, *told, f"{1e3 * besides:,.0f} ms"]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insight", description=__doc__)
    parser.add_argument("--epochs", type=int, default=24, help="of each run, at least 2")
    parser.add_argument("--only", type=int, choices=range(len(CASES)), help="one of the networks")
    options = parser.parse_args(arguments)
    cases = CASES if options.only is None else [CASES[options.only]]
    lines = [line(case, measure(case, max(options.epochs, 2))) for case in cases]
    header = ["network", "a step", *list(WAYS)[1:], "doctor, besides"]
    Sheet("What looking costs", header, lines).show(Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
