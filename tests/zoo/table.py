"""What was planted and what was named, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .plan import Plan
from .remedies import ENOUGH, LONGER, Mended
from .run import Outcome


@dataclass(frozen=True)
class Result:
    """One run of the zoo."""

    plan: Plan
    outcome: Outcome
    mended: Mended | None = None

    @property
    def named(self) -> bool:
        """Whether the kind of the fault was named."""
        return self.outcome.named(self.plan) is not None

    @property
    def right(self) -> bool:
        """Whether it was named in the right layer."""
        return self.outcome.right(self.plan)

    @property
    def said(self) -> str:
        """All that the doctor said."""
        found = self.outcome.findings
        words = [f.kind if f.layer is None else f"{f.kind} ({f.layer})" for f in found]
        return ", ".join(words) or self.outcome.error or "nothing"


def line(result: Result) -> str:
    """Return one run in a line."""
    plan = result.plan
    if plan.fault:
        mark = "ok  " if result.right else "LAYER" if result.named else "MISS"
    else:
        mark = "ok  " if not result.outcome.findings else "ILL "
    where = f" [{'|'.join(plan.layers)}]" if plan.layers else ""
    mended = result.mended
    words = ""
    if mended is not None:
        words = (
            " -> learns" if mended.works else " -> still ill" if mended.applied else " -> no change"
        )
        words += f" ({mended.before:.2f}, {mended.after:.2f} of {mended.healthy:.2f})"
    return f"{mark:5} {plan.name}{where}: {result.said}{words}"


def kinds_table(results: Sequence[Result]) -> str:
    """Return a row for each kind: planted, named, in the right layer, mended."""
    planted = [r for r in results if r.plan.fault]
    kinds = list(dict.fromkeys(r.plan.fault for r in planted))
    rows = [_row(f"`{kind}`", [r for r in planted if r.plan.fault == kind]) for kind in kinds]
    rows.append(_row("**all**", planted))
    head = ["fault", "planted", "named", "right layer", "share", "besides"]
    head += ["remedy applied", "learns then"]
    return _markdown(head, rows)


def _row(head: str, results: Sequence[Result]) -> list[str]:
    n, right = len(results), sum(r.right for r in results)
    mended = [r.mended for r in results if r.mended is not None]
    works = sum(m.works for m in mended)
    return [
        head, str(n), str(sum(r.named for r in results)), str(right),
        f"{right / max(n, 1):.0%}", str(sum(len(r.outcome.findings) - r.named for r in results)),
        str(sum(m.applied for m in mended)) if mended else "",
        f"{works} ({works / len(mended):.0%})" if mended else "",
    ]  # fmt: skip


def halves_table(results: Sequence[Result]) -> str:
    """Return the shares in the half for tuning and in the one set aside."""
    rows = []
    for half, name in (("tune", "tuned on"), ("test", "set aside")):
        here = [r for r in results if r.plan.half == half]
        planted = [r for r in here if r.plan.fault]
        healthy = [r for r in here if not r.plan.fault]
        ill = sum(bool(r.outcome.findings) for r in healthy)
        right = sum(r.right for r in planted)
        if here:
            named = sum(r.named for r in planted)
            counts = [str(len(planted)), _share(named, planted), _share(right, planted)]
            rows.append([name, *counts, str(len(healthy)), _share(ill, healthy)])
    head = ["half", "planted", "named", "with the right layer", "healthy", "called ill"]
    return _markdown(head, rows)


def _share(count: int, of: Sequence[Result]) -> str:
    return f"{count} ({count / max(len(of), 1):.1%})"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] * len(head)) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def document(results: Sequence[Result]) -> str:
    """Return the page of the documentation."""
    wrong = [r for r in results if (not r.right if r.plan.fault else r.outcome.findings)]
    parts = [
        "# The zoo: planted faults, and what the doctor says\n",
        _WORDS.format(enough=f"{ENOUGH:.0%}", longer=LONGER),
        "## By half\n", halves_table(results) + "\n",
        "## By fault\n", kinds_table(results) + "\n",
        "## What went wrong\n",
        "\n".join(f"- {r.plan.half}: {_missed(r)}" for r in wrong) or "Nothing.",
        "\n## All runs\n",
        _all(results),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _missed(result: Result) -> str:
    plan = result.plan
    where = f" in {' or '.join(f'`{name}`' for name in plan.layers[:3])}" if plan.layers else ""
    return f"{plan.name}{where}: {result.said}"


def _all(results: Sequence[Result]) -> str:
    """Return what was planted, by kind, in one line each."""
    lines = []
    for kind in dict.fromkeys(r.plan.fault for r in results):
        runs = [r.plan.name.split(": ", 1)[-1] for r in results if r.plan.fault == kind]
        lines.append(f"**{kind or 'healthy'}** ({len(runs)}): {'; '.join(runs)}.\n")
    return "\n".join(lines)


_WORDS = """\
This page is written by `python -m tests.zoo --remedies`. Its runs are in `tests/zoo/`: networks
that learn, and the same with one thing made wrong, at several strengths. Each is trained with
`GradientDoctor()`, which knows nothing of what was planted. A fault counts as named where its kind
is among the findings, and as right where the finding names the layer (or one of the layers) in
which it was planted; faults of the data or of the whole run have no layer. A healthy run counts as
called ill where there is any finding. *Besides* counts what else was said of the planted runs.

Half of the runs, by a hash of their names, were set aside while the rules were written, and run
with a doctor once, when these stood. What was planted in them was known to those who wrote the
rules; and for the first hour the halves were others, so that some of the faults that rules were
first tried on are now among those set aside.

The remedy is applied by a program, from the `change` of the finding, and the run repeated; where
the doctor then advises something else, that is followed too, at most three times in all. The
network learns if it then has {enough} of the skill that it has without the fault (on rows it was
not trained on: balanced accuracy above chance, or the squared correlation), and the fault is no
longer named; for overfitting, if the loss on those rows is lower by a tenth. Where that is not so
at once, it may train {longer} times as long, if the run with the fault does not learn in that time.
"""
