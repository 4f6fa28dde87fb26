"""Timing the peers in turn, the best of interleaved rounds, after all gave the same losses."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .peers import PEERS
from .rows import Row

# float32 sums in another order; PyTorch adds Adam's epsilon after the bias correction, not before.
TOLERANCE = 2e-4
_COMPARED = 4
# Seconds for which idle threads of OpenBLAS and OpenMP may go on spinning; without this pause
# whoever comes after scikit-learn has one core less for a third of its burst.
_SETTLE = 0.4
_ROOT = Path(__file__).resolve().parents[1]


class Worker:
    """The process of one peer."""

    def __init__(self, peer: str, module: str = "benchmarks.worker") -> None:
        self.peer = peer
        command = [sys.executable, "-m", module, peer]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )

    def ask(self, do: str, **what: Any) -> Any:
        """Send a request; its answer, or None when the process has ended over it."""
        if self.process.stdin is None or self.process.stdout is None:
            return None
        try:
            self.process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def worker(peer: str, module: str = "benchmarks.worker") -> Iterator[Worker]:
    """A worker for the length of a block."""
    started = Worker(peer, module)
    try:
        yield started
    finally:
        started.close()


@dataclass
class Result:
    """What was measured of one row: seconds a step by peer, and what went wrong."""

    row: Row
    seconds: dict[str, float] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def best_pytorch(self) -> float | None:
        """The shortest step of the ways of PyTorch."""
        times = (seconds for peer, seconds in self.seconds.items() if peer.startswith("torch"))
        return min(times, default=None)

    def ratio(self) -> float | None:
        """How many of our steps fit into one of PyTorch's."""
        best = self.best_pytorch()
        return best / self.seconds["chainrule"] if best and "chainrule" in self.seconds else None


@dataclass(frozen=True)
class Effort:
    """How long to measure; ``steps`` shortens the data for a check of correctness."""

    rounds: int = 7
    seconds: float = 0.25
    steps: int | None = None


def measure(
    rows: list[Row], peers: list[str], effort: Effort, say: Callable[[str], None]
) -> list[Result]:
    """The results of all rows, each peer in one process throughout."""
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(peer)) for peer in peers]
        return [_measure(row, workers, effort, say) for row in rows]


def _measure(row: Row, workers: list[Worker], effort: Effort, say: Callable[[str], None]) -> Result:
    """Load all peers, compare their losses, then time them round by round."""
    result, steps = Result(row), {}
    workers = [each for each in workers if PEERS[each.peer].runs(row.network)]
    for each in workers:
        say(f"{row.name}: {each.peer}")
        loaded = each.ask("load", row=row.name, steps=effort.steps, losses=_COMPARED)
        if loaded is None:
            result.problems.append(f"{each.peer} failed")
            continue
        steps[each.peer] = loaded["steps"]
        result.losses[each.peer] = loaded["losses"]
    result.problems += disagreements(result.losses)
    for number in range(effort.rounds):
        say(f"{row.name}: round {number + 1} of {effort.rounds}")
        for each in workers:
            if each.peer in steps:
                _time(each, steps[each.peer], effort.seconds, result)
    return result


def _time(each: Worker, steps: int, seconds: float, result: Result) -> None:
    """One burst of one peer after a pause; the best so far stays."""
    time.sleep(_SETTLE)
    burst = each.ask("burst", seconds=seconds)
    if burst is None:
        result.problems.append(f"{each.peer} failed while it was timed")
        return
    step = burst["seconds"] / burst["epochs"] / steps
    result.seconds[each.peer] = min(step, result.seconds.get(each.peer, step))


def disagreements(losses: dict[str, list[float]]) -> list[str]:
    """A line for each peer whose first losses are not those of the first peer."""
    if not losses:
        return []
    (reference, expected), *others = losses.items()
    return [
        f"{peer} computes something else than {reference}: first losses {found}, not {expected}"
        for peer, found in others
        if not all(
            abs(a - b) <= TOLERANCE * max(1, abs(b)) for a, b in zip(found, expected, strict=True)
        )
    ]
