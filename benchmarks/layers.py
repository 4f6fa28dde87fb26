"""``python -m benchmarks.layers``: what each convolution of the networks reaches of the peak.

Forward with bias, activation and the pooling behind it, where there is one; the gradients of the
kernel and of the input, from that of the pooled output. The peak is that of multiply-adds in
registers (see ``benchmarks.units``), measured in the same run.

Operations are those of the plain sum, whatever is done in its place. Winograd's filtering
F(2 x 2, 3 x 3), used for 3 x 3 kernels between many channels, does 4 of 9 multiplications: there
the share is no measure of how busy the units are, and may pass 100 %.

One thread is timed by its own processor time, several by the clock on the wall.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import chainrule as cr
from chainrule.executors import native
from chainrule.graph import Value, Variable, registry
from chainrule.ops.conv import swapped
from chainrule.plan import make_plan

from . import units
from .networks import Conv, Network, Pool, Shape
from .report import Sheet
from .rows import ROWS, Row, by_name

_BURST = 0.02
PARTS = ("forward", "gradient of kernel", "gradient of input")


@dataclass(frozen=True)
class Case:
    """A convolution of a row, between images of this shape and perhaps pooling."""

    row: Row
    layer: Conv
    shape: Shape
    pool: Pool | None
    first: bool

    def __str__(self) -> str:
        h, w, c = self.shape
        kernel = f"{self.layer.size}x{self.layer.size}"
        behind = f", pool {self.pool.size}" if self.pool else ""
        return f"{h}x{w}x{c} to {self.layer.filters}, {kernel} {self.layer.padding}{behind}"

    def operations(self) -> int:
        """The operations of the convolution, and of either gradient."""
        return self.row.batch * self.layer.operations(self.shape)

    def parts(self) -> tuple[str, ...]:
        """What training needs of it: no one needs the gradient of the data."""
        return PARTS[:2] if self.first else PARTS


def cases(row: Row) -> Iterator[Case]:
    """The convolutions of a row's network."""
    network: Network = row.network
    for place, ((layer, shape), (after, _)) in enumerate(pairwise(network.placed())):
        if isinstance(layer, Conv):
            pool = after if isinstance(after, Pool) else None
            yield Case(row, layer, shape, pool, first=place == 0)


def program(case: Case, part: str) -> native.NativeProgram:
    """The program that computes a part, planned as in training."""
    return native.load(make_plan(_wanted(case, part)))


def _wanted(case: Case, part: str) -> list[Value]:
    random = np.random.default_rng(0)
    layer, n, shape = case.layer, case.row.batch, case.shape
    low = layer.size // 2 if layer.padding == "same" else 0
    form = {"strides": (1, 1), "padding": (low,) * 4, "dilation": (1, 1), "groups": 1}
    draw = partial(_noise, random)
    x, w = draw(n, *shape), draw(*layer.kernel(shape))
    between = layer.output(shape)
    if part == "forward":
        values = [x, w, draw(layer.filters)]
        y = _apply("conv_bias", values, **form, activation=layer.activation)
        return _apply("max_pool", y, **_pooling(case.pool)) if case.pool else y
    g = draw(n, *between)
    if case.pool:
        behind = (n, *case.pool.output(between))
        places = random.integers(0, case.pool.size**2, behind).astype(np.uint8)
        operands = [draw(*behind), Variable(places, trainable=False).leaf]
        form_of_pool = {**_pooling(case.pool), "size": between[:2]}
        (g,) = _apply("max_pool_gradient", operands, **form_of_pool)
    if part == "gradient of kernel":
        return _apply("conv_kernel_gradient", [x, g], kernel=(layer.size,) * 2, **form)
    return _apply("conv_transpose", [g, swapped(w, 1)], size=shape[:2], **form)


def _noise(random: np.random.Generator, *shape: int) -> Value:
    return Variable(random.standard_normal(shape, dtype=np.float32)).leaf


def _apply(name: str, values: list[Value], **attributes: Any) -> list[Value]:
    result = registry()[name].apply(values, attributes)
    return list(result) if isinstance(result, tuple | list) else [result]


def _pooling(pool: Pool) -> dict[str, Shape]:
    size = (pool.size, pool.size)
    return {"window": size, "strides": size, "padding": (0, 0, 0, 0)}


def measure(chosen: list[Case], threads: int, rounds: int) -> tuple[list[dict[str, float]], float]:
    """Seconds of each part of each case, the best of rounds that go over all of them, and the
    operations a second that the units did in between."""
    cr.set_num_threads(threads)
    programs = [{part: program(case, part) for part in case.parts()} for case in chosen]
    best = [dict.fromkeys(made, float("inf")) for made in programs]
    peak, clock = 0.0, time.thread_time if threads == 1 else time.perf_counter
    for _ in range(rounds):
        peak = max(peak, units.operations(threads, 1, clock) or 0.0)
        for made, times in zip(programs, best, strict=True):
            for part, each in made.items():
                times[part] = min(times[part], _seconds(each, clock))
    return best, peak


def _seconds(each: native.NativeProgram, clock: Callable[[], float]) -> float:
    """The seconds of a run, of as many as fill a burst; the first wakes everything up."""
    each.run()
    begin = clock()
    each.run()
    once = clock() - begin
    count = max(1, int(_BURST / once))
    begin = clock()
    each.run(count)
    return min(once, (clock() - begin) / count)


def sheet(chosen: list[Case], found: list[dict[str, float]], threads: int, peak: float) -> Sheet:
    """Microseconds, GFLOP/s and share of the peak."""
    header = ["network", "layer", *(f"{part}, us, GFLOP/s, share" for part in PARTS)]
    lines = [
        [case.row.name, str(case), *(_text(case, times.get(part), peak) for part in PARTS)]
        for case, times in zip(chosen, found, strict=True)
    ]
    words = f"{threads} thread{'s' if threads > 1 else ''}"
    limit = f"peak {peak / 1e9:.0f} GFLOP/s" if peak else "no C compiler to measure the peak with"
    title = f"Convolutions, {words}, {limit}; operations of the plain sum (see Winograd)"
    return Sheet(title, header, lines)


def _text(case: Case, seconds: float | None, peak: float) -> str:
    if seconds is None:
        return "not needed"
    rate = case.operations() / seconds
    share = f" {rate / peak:.0%}" if peak else ""
    return f"{1e6 * seconds:.0f} {rate / 1e9:.1f}{share}"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    names = [row.name for row in ROWS if row.network.convolutional]
    usual = [name for name in names if name.startswith("32c") and name.endswith("x32")]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=names, default=usual)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15, help="the best of so many")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here too")
    options = parser.parse_args(arguments)
    chosen = [case for name in options.rows for case in cases(by_name(name))]
    console = Console(width=None if sys.stdout.isatty() else 200)
    sheets = []
    for threads in options.threads:
        found, peak = measure(chosen, threads, options.rounds)
        sheets.append(sheet(chosen, found, threads, peak))
    for each in sheets:
        each.show(console)
    if options.markdown:
        text = "\n\n".join(each.markdown() for each in sheets)
        options.markdown.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
