"""``python -m benchmarks.optimizers``: a step of each optimizer beside PyTorch's fastest way.

Two sizes: a step of 784-128-10 with batches of 128, and the update alone of one weight of ten
million elements, with the share it has of the memory's bandwidth as measured in the same run.
Both go in turns, a fifth of a second each; told are medians, and of the ratio that of neighbouring
turns. Where arrays happen to lie matters too, so each rule is measured in several pairs of
processes, in those after the first only in PyTorch's fastest way.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
from rich.console import Console

from . import rules
from .measure import Worker, worker
from .report import Sheet
from .rules import LARGE, RULES, SIZES, Rule

_RUNS = {LARGE: 4}  # before weights are compared; of the small network one epoch
_SETTLE = 0.05
_MODULE = "benchmarks.rule_worker"
_OURS, _CLOCKS = "native", ("wall", "busy")


@dataclass(frozen=True)
class Turn:
    """Seconds of a step of ours and, where there is PyTorch, of its own, by the clock of the wall
    and of the processor."""

    wall: tuple[float, ...]
    busy: tuple[float, ...]


@dataclass
class Timing:
    """What was measured of a rule at a size, by the way that PyTorch goes."""

    rule: Rule
    size: str
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    apart: float | None = None

    def way(self) -> str:
        """PyTorch's fastest way."""
        return min(self.turns, key=lambda way: self._ratio(way) or 0.0)

    def seconds(self) -> list[float]:
        """The median step of each."""
        walls = zip(*(turn.wall for turn in self.turns[self.way()]), strict=True)
        return [statistics.median(each) for each in walls]

    def ratio(self, busy: bool = False) -> float | None:
        """How many of our steps fit into one of PyTorch's: the median of all turns."""
        return self._ratio(self.way(), busy)

    def _ratio(self, way: str, busy: bool = False) -> float | None:
        pairs = [turn.busy if busy else turn.wall for turn in self.turns[way]]
        ratios = [pair[1] / pair[0] for pair in pairs if len(pair) > 1]
        return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class Effort:
    """How long to measure: pairs of processes, turns in each, seconds of a turn."""

    processes: int = 3
    rounds: int = 5
    seconds: float = 0.2
    compiled: bool = False


def measure(
    chosen: list[Rule], sizes: list[str], effort: Effort, say: Callable[[str], None]
) -> list[Timing]:
    """The timings of all rules, the peers in turn; PyTorch where it is installed."""
    found = []
    for size in sizes:
        for rule in chosen:
            say(f"{rule.title}, {size}")
            timing = Timing(rule, size)
            for _ in range(effort.processes):
                _add(timing, effort)
            found.append(timing)
    return found


def _add(timing: Timing, effort: Effort) -> None:
    """Measure once more, in processes of their own."""
    peers = ["chainrule", *(["torch"] if find_spec("torch") else [])]
    with ExitStack() as stack:
        workers = [stack.enter_context(worker(peer, _MODULE)) for peer in peers]
        ways = [timing.way()] if timing.turns else _ways(timing.rule, workers[-1], effort)
        for way in ways:
            steps = _load(timing, workers, way)
            turns = [_turn(workers, steps, effort.seconds) for _ in range(effort.rounds)]
            timing.turns.setdefault(way, []).extend(turns)


def _ways(rule: Rule, last: Worker, effort: Effort) -> list[str]:
    ways = last.ask("variants", rule=rule.title) or []
    return [*ways, "compiled"] if effort.compiled and len(ways) > 1 else ways


def _load(timing: Timing, workers: list[Worker], way: str) -> list[int]:
    """Make the rule ready, compare the weights after some steps; the steps of a run of each."""
    loaded = []
    for each in workers:
        variant = way if each is workers[-1] else _OURS
        what = {"rule": timing.rule.title, "size": timing.size, "variant": variant}
        answer = each.ask("load", runs=_RUNS.get(timing.size, 1), **what)
        if answer is None:
            raise RuntimeError(f"{each.peer} failed at {', '.join(what.values())}")
        loaded.append(answer)
    if len(loaded) == 2:
        apart = _apart(*(np.array(answer["weights"]) for answer in loaded))
        timing.apart = max(apart, timing.apart or 0.0)
    return [answer["steps"] for answer in loaded]


def _turn(workers: list[Worker], steps: list[int], seconds: float) -> Turn:
    bursts = []
    for each in workers:
        time.sleep(_SETTLE if seconds else 0)
        bursts.append(each.ask("burst", seconds=seconds))
    told = [[b[clock] / n for b, n in zip(bursts, steps, strict=True)] for clock in _CLOCKS]
    return Turn(*map(tuple, told))


def _apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """How far the weights are from each other, beside the largest."""
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30))


def problems(found: list[Timing]) -> list[str]:
    """A line for each rule whose weights are not PyTorch's."""
    return [
        f"{t.rule.title}, {t.size}: weights differ from PyTorch's by {t.apart:.1e}"
        for t in found
        if t.apart is not None and not t.apart <= t.rule.apart
    ]


def bandwidth(seconds: float = 1.0) -> float:
    """Bytes a second that two threads move by ``a += b`` over arrays beyond any cache."""
    pairs = [(np.zeros(5_000_000, np.float32), np.ones(5_000_000, np.float32)) for _ in range(2)]

    def pass_over(pair: tuple[np.ndarray, np.ndarray]) -> None:
        for _ in range(5):
            np.add(*pair, out=pair[0])

    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        threads = [threading.Thread(target=pass_over, args=(pair,)) for pair in pairs]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        moved = 2 * 5 * 3 * pairs[0][0].nbytes
        best = max(best, moved / (time.perf_counter() - begin))
    return best


def passes(rule: Rule) -> float:
    """How many arrays of the weight's size our plan reads or writes in an update, scratch apart."""
    from chainrule.graph import Variable, placeholder
    from chainrule.plan import make_plan

    from .peers.ours_rules import make

    if rule.name == "LBFGS":
        return 0.0
    weight = Variable(np.zeros(rules.SHAPE, np.float32), name="weight")
    gradient = placeholder(rules.SHAPE, "float32", "gradient")
    plan = make_plan([], make(rule).updates([gradient], [weight]))
    moved = 0
    for loop in (loop for phase in plan.phases for loop in phase):
        touched = {}
        for call in loop.calls:
            for i, operand in enumerate(call.operands):
                if operand.place.kind != "local":
                    way = "read" if i < call.arguments else "write"
                    touched.setdefault((operand.place, way), operand.spec.size)
        # What a call of the loop writes is in cache where a later one reads it.
        moved += sum(
            size
            for (place, way), size in touched.items()
            if way == "write" or not _made_before(place, loop)
        )
    return moved / weight.size


def _made_before(place: object, loop: object) -> bool:
    """Whether a call of the loop writes the place before any reads it."""
    for call in loop.calls:
        if any(o.place == place for o in call.operands[: call.arguments]):
            return False
        if any(o.place == place for o in call.operands[call.arguments :]):
            return True
    return False


def sheets(found: list[Timing], speed: float) -> list[Sheet]:
    """The tables."""
    made = []
    for size in SIZES:
        lines = [_line(t, speed) for t in found if t.size == size]
        if lines:
            title = f"A step of each optimizer, {size}, microseconds"
            if size == LARGE:
                title = (
                    f"The update alone of {size}, milliseconds "
                    f"(memory: {speed / 1e9:.1f} GB/s for a += b)"
                )
            made.append(Sheet(title, _header(size), lines))
    return made


def _header(size: str) -> list[str]:
    extra = ["arrays moved", "least", "of bandwidth"] if size == LARGE else []
    return ["rule", "chainrule", "PyTorch", "its way", "ratio", "CPU ratio", *extra, "apart"]


def _line(timing: Timing, speed: float) -> list[str]:
    rule, large = timing.rule, timing.size == LARGE
    unit = 1e3 if large else 1e6
    times = [_number(seconds, unit) for seconds in timing.seconds()]
    times += [""] * (2 - len(times))
    way = timing.way() if timing.apart is not None else ""
    way = f"{way}; {rule.note}" if rule.note and way else way
    ratios = [_number(timing.ratio()), _number(timing.ratio(busy=True))]
    extra = _shares(timing, speed) if large else []
    apart = "" if timing.apart is None else f"{timing.apart:.0e}"
    return [rule.title, *times, way, *ratios, *extra, apart]


def _shares(timing: Timing, speed: float) -> list[str]:
    moved = passes(timing.rule)
    if not moved:
        return ["", "", ""]
    seconds = timing.seconds()[0]
    share = moved * 4 * np.prod(rules.SHAPE) / seconds / speed
    return [f"{moved:.2f}", str(timing.rule.least), f"{share:.0%}"]


def _number(value: float | None, unit: float = 1.0) -> str:
    return "" if value is None else f"{value * unit:.2f}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when the peers disagree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers", description=__doc__)
    titles = [rule.title for rule in RULES]
    parser.add_argument("--rules", nargs="+", choices=titles, default=titles)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--processes", type=int, default=Effort.processes, help="one by one")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="turns in each of them")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="of one burst")
    parser.add_argument("--compiled", action="store_true", help="torch.compile them too")
    options = parser.parse_args(arguments)
    effort = Effort(options.processes, options.rounds, options.seconds, options.compiled)
    with Console(stderr=True).status("starting") as status:
        chosen = [rules.by_title(title) for title in options.rules]
        found = measure(chosen, options.sizes, effort, status.update)
        made = sheets(found, bandwidth())
    console = Console(width=None if sys.stdout.isatty() else 200)
    for sheet in made:
        sheet.show(console)
    wrong = problems(found)
    console.print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
