"""``python -m benchmarks``: the rows side by side with every installed peer."""

import argparse
import shlex
import sys
from pathlib import Path

from rich.console import Console

from . import extras, optimizers, peak, report
from .measure import Effort, Result, measure
from .peers import PEERS, available
from .rows import COSTS, ROWS, Row, by_name

_CHECK = Effort(rounds=1, seconds=0, steps=4)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 when peers disagree or one failed."""
    options = _options(arguments)
    peers, rows = available(options.peers), [by_name(name) for name in options.rows]
    console = Console(width=None if sys.stdout.isatty() else 200)
    with Console(stderr=True).status("starting") as status:
        effort = _CHECK if options.check else Effort(options.rounds, options.seconds)
        results = measure(rows, peers, effort, status.update)
        status.update("peak, import, memory")
        sheets, about = ([], "") if options.check else _sheets(results, rows, peers, options)
    problems = _problems(results)
    for sheet in sheets:
        sheet.show(console)
    console.print(about, *problems, sep="\n")
    if options.check:
        console.print(f"{len(rows)} rows, peers {', '.join(peers)}: {len(problems)} problems")
    if options.markdown:
        command = "python -m benchmarks " + shlex.join(arguments or sys.argv[1:])
        options.markdown.write_text(report.page(command, sheets, about, problems), encoding="utf-8")
    return bool(problems)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, default=names)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), help="default: all installed")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="the best of so many")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="of one burst")
    parser.add_argument("--steps-only", action="store_true", help="only the table of steps")
    parser.add_argument("--optimizers", action="store_true", help="the table of them too")
    parser.add_argument("--check", action="store_true", help="only that all compute the same")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables here too")
    return parser.parse_args(arguments)


def _problems(results: list[Result]) -> list[str]:
    return [f"{result.row.name}: {problem}" for result in results for problem in result.problems]


def _sheets(
    results: list[Result], rows: list[Row], peers: list[str], options: argparse.Namespace
) -> tuple[list[report.Sheet], str]:
    """All tables that were asked for, and the line about the machine."""
    limits = peak.measure()
    sheets = [report.steps(results, peers, limits)]
    if not options.steps_only:
        sheets.append(report.costs(extras.costs(peers, COSTS), COSTS.name))
        sheets += _own_sheets(rows, peers) if "chainrule" in peers else []
    if options.optimizers:
        sheets += _optimizer_sheets()
    return sheets, report.machine(limits)


def _own_sheets(rows: list[Row], peers: list[str]) -> list[report.Sheet]:
    """What is said of chainrule alone: the overhead of ``fit``, its memory beside the plan's."""
    overheads = {row.name: extras.fit_overhead(row) for row in rows}
    memories = {row.name: extras.peaks(row, peers) for row in rows}
    return [report.overheads(overheads), report.memories(memories)]


def _optimizer_sheets() -> list[report.Sheet]:
    """A step of each optimizer; weights that differ from PyTorch's end the program."""
    effort = optimizers.Effort(rounds=3)
    found = optimizers.measure(list(optimizers.RULES), list(optimizers.SIZES), effort, len)
    if wrong := optimizers.problems(found):
        raise SystemExit("\n".join(wrong))
    return optimizers.sheets(found, optimizers.bandwidth())


if __name__ == "__main__":
    sys.exit(main())
