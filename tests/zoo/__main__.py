"""``python -m tests.zoo``: train the zoo with the doctor beside it, and print what it said."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import pathlib
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from .all import zoo
from .plan import Plan
from .remedies import Mended, attended
from .run import Outcome
from .table import Result, document, halves_table, kinds_table, line

Run = tuple[Outcome, Mended | None]
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "zoo.md"


def main() -> int:
    """Run what is asked for; without a choice of runs, write the page too."""
    parser = argparse.ArgumentParser(prog="python -m tests.zoo", description=__doc__)
    parser.add_argument("--half", choices=("tune", "test"), help="one half of the runs")
    parser.add_argument("--kind", help="one kind of fault, or healthy")
    parser.add_argument("--name", default="", help="runs with this in their names")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, for another sample")
    parser.add_argument("--remedies", action="store_true", help="follow the advice, and see")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quiet", action="store_true", help="tables only")
    given = parser.parse_args()
    plans = [p for p in zoo(given.half, given.kind) if given.name in p.name]
    plans = [p.but(seed=given.seed) for p in plans]
    results = []
    for plan, (outcome, mended) in zip(plans, _ran(plans, given), strict=True):
        results.append(Result(plan, outcome, mended))
        if not given.quiet:
            print(line(results[-1]), flush=True)
    print(halves_table(results), kinds_table(results), sep="\n\n")
    if len(plans) == len(zoo()) and not given.seed:
        PAGE.write_text(document(results), encoding="utf-8")
        print(f"written: {PAGE}", file=sys.stderr)
    return 0


def _ran(plans: Sequence[Plan], given: argparse.Namespace) -> Iterator[Run]:
    """Yield what came of each run, in order."""
    rest = [(plan.name, given.seed, given.remedies) for plan in plans]
    if given.jobs < 2:
        yield from itertools.starmap(attended, rest)
        return
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(attended, *zip(*rest, strict=True))


if __name__ == "__main__":
    sys.exit(main())
