"""The table, for a terminal and for a page."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .extras import Cost, Peaks
from .measure import Result
from .peak import Peak
from .peers import PEERS

_PACKAGES = ("chainrule", "numpy", "torch", "jax", "keras", "scikit-learn")


@dataclass(frozen=True)
class Sheet:
    """A titled table of text."""

    title: str
    header: list[str]
    lines: list[list[str]]

    def show(self, console: Console) -> None:
        """Print for a terminal."""
        table = Table(title=self.title, title_justify="left")
        for number, name in enumerate(self.header):
            table.add_column(name, justify="left" if number == 0 else "right")
        for line in self.lines:
            table.add_row(*line)
        console.print(table)

    def markdown(self) -> str:
        """The same for a page."""
        rule = ["---"] + ["---:"] * (len(self.header) - 1)
        lines = [self.header, rule, *self.lines]
        return f"### {self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def steps(results: list[Result], peers: list[str], peak: Peak) -> Sheet:
    """Microseconds a step for each peer, the ratio reached and to be reached, share of peak."""
    titles = [PEERS[peer].title for peer in peers]
    header = ["step", "batch", *titles, "ratio", "must", "aim", "reached", "arithmetic", "limit"]
    return Sheet(
        "One training step with Adam, microseconds (ratio: the best PyTorch to chainrule fit)",
        header,
        [_step_line(result, peers, peak) for result in results],
    )


def _step_line(result: Result, peers: list[str], peak: Peak) -> list[str]:
    row, ratio = result.row, result.ratio()
    times = [_number(result.seconds.get(peer), 1e6, ".1f") for peer in peers]
    owed = [_number(row.must, 1, "g"), _number(row.aim, 1, "g")]
    judged = [_number(ratio, 1, ".2f"), *owed, _verdict(result)]
    return [str(row.network), str(row.batch), *times, *judged, *_shares(result, peak)]


def _shares(result: Result, peak: Peak) -> list[str]:
    """Our share of the measured arithmetic peak, and of what arithmetic or traffic allows."""
    ours = result.seconds.get("chainrule")
    if not ours:
        return ["", ""]
    arithmetic = result.row.network.operations(result.row.batch) / peak.operations
    return [f"{arithmetic / ours:.0%}", f"{peak.floor(result.row) / ours:.0%}"]


def _verdict(result: Result) -> str:
    ratio, must, aim = result.ratio(), result.row.must, result.row.aim
    if ratio is None or must is None or aim is None:
        return ""
    return "aim" if ratio >= aim else "must" if ratio >= must else "NO"


def costs(found: list[Cost], row: str) -> Sheet:
    """What the peers cost before and around their steps."""
    header = ["package", "import, s", "first step, ms", "memory of training, MB", "installed, MB"]
    lines = [
        [
            cost.peer,
            f"{cost.import_seconds:.3f}",
            _number(cost.first_step, 1e3, ".1f"),
            _number(cost.peak, 1e-6, ".1f"),
            f"{cost.size / 1e6:.1f}",
        ]
        for cost in found
    ]
    return Sheet(
        f"Around the steps ({row}; memory: growth of the process over its data)", header, lines
    )


def overheads(found: dict[str, float]) -> Sheet:
    """What ``fit`` adds to its bare steps."""
    lines = [[name, f"{share:+.1%}"] for name, share in found.items()]
    title = "What shuffling, accuracy, history and progress add to the bare steps of fit"
    return Sheet(title, ["step", "added"], lines)


def memories(found: dict[str, Peaks]) -> Sheet:
    """Peak memory of training beside the plan's word."""
    header = ["step", "chainrule", "as a second training", "model.memory", "ratio", "PyTorch"]
    lines = []
    for name, peaks in found.items():
        plan = peaks.plan.total
        sizes = (peaks.ours, peaks.later, plan)
        ratio = _number(peaks.later, 1 / plan, ".2f")
        texts = [_number(each, 1e-6, ".1f") for each in sizes]
        lines.append([name, *texts, ratio, _number(peaks.pytorch, 1e-6, ".1f")])
    title = (
        "Memory of training, MB: growth of the process over its data "
        "(ratio: the second training, without code that is read, to what model.memory says)"
    )
    return Sheet(title, header, lines)


def machine(peak: Peak) -> str:
    """One paragraph on where and with what it was measured."""
    packages = ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))
    return (
        f"{_processor()}, {platform.system()}, Python {platform.python_version()}; {packages}. "
        f"Measured peak: {peak.operations / 1e9:.0f} GFLOP/s (product of 2048 x 2048 float32 in "
        f"NumPy), {peak.bytes / 1e9:.0f} GB/s from cache."
    )


def _processor() -> str:
    """The processor's name and the number of cores given to us."""
    names = Path("/proc/cpuinfo")
    lines = names.read_text().splitlines() if names.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} cores of {models[0]}" if models else platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _number(value: float | None, factor: float, form: str) -> str:
    return "" if value is None else format(value * factor, form)


def page(command: str, sheets: Iterable[Sheet], about: str, problems: list[str]) -> str:
    """All of it as Markdown, with the command that made it."""
    parts = [f"`{command}`", about, *(sheet.markdown() for sheet in sheets)]
    if problems:
        parts.append("Problems:\n" + "\n".join(f"- {problem}" for problem in problems))
    return "\n\n".join(parts) + "\n"
