"""What the dashboard's pages are told about runs, as plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.callbacks.monitor import Monitor
from chainrule.insight import charts
from chainrule.insight.collection import Runs
from chainrule.insight.record import RunRecord
from chainrule.insight.report import Page, report_html
from chainrule.insight.report_parts import sections as parts_of
from chainrule.insight.verdict import best_of
from chainrule.insight.words import Words

_COMMANDS = 200  # of the newest, that are shown
_WHERE = ("epoch", "epochs", "batch", "steps", "elapsed", "updated", "learning_rate")


def overview(runs: Runs, language: str) -> dict[str, Any]:
    """Return all runs in short, with what their numbers are called.

    Parameters
    ----------
    runs : Runs
        Where they are.
    language : {"en", "zh"}
        Of the names of numbers.
    """
    words, found = Words(language), runs.overview()
    names = dict.fromkeys(name for run in found["runs"] for name in run["logs"] or {})
    return {**found, "labels": {name: words.metric(name) for name in names}}


def facts(record: RunRecord, language: str) -> dict[str, Any]:
    """Return where a run is.

    Parameters
    ----------
    record : RunRecord
        As it is now.
    language : {"en", "zh"}
        Of the names of numbers.
    """
    words, status, epochs = Words(language), record.status, record.epochs
    logs = {**(epochs[-1]["logs"] if epochs else {}), **(status.get("logs") or {})}
    best = best_of(record)
    return {
        "state": record.state,
        "begun": record.about.get("clock"),
        **{key: status.get(key) for key in _WHERE},
        "logs": logs,
        "labels": {name: words.metric(name) for name in logs},
        "best": best and {"name": words.metric(best[0]), "epoch": best[1], "value": best[2]},
        "commands": record.commands[-_COMMANDS:],
    }


def sections(record: RunRecord, language: str) -> dict[str, Any]:
    """Return the sections of a run's report as HTML, and the figures of their charts.

    Parameters
    ----------
    record : RunRecord
        As it is now.
    language : {"en", "zh"}
        Of the report.
    """
    page = Page(Words(language))
    found = [
        {"key": key, "title": page.words(key), "html": html} for key, html in parts_of(record, page)
    ]
    return {"sections": found, "figures": page.figures}


def report(record: RunRecord, language: str) -> str:
    """Return the report of a run as one page.

    Parameters
    ----------
    record : RunRecord
        As it is now.
    language : {"en", "zh"}
        Of the page.
    """
    return report_html(record, Words(language))


def comparison(runs: Runs, names: Sequence[str], metric: str, language: str) -> dict[str, Any]:
    """Return several runs beside each other: the curve of a number, the ends, what differs.

    Parameters
    ----------
    runs : Runs
        Where they are.
    names : sequence of str
        Of the runs; those that are there no more are left out.
    metric : str
        The number to draw; where none of them has it, the first that there is.
    language : {"en", "zh"}
        Of titles and axes.
    """
    words = Words(language)
    return runs.with_records(names, lambda records: _compared(records, metric, words))


def _compared(
    records: Sequence[tuple[str, RunRecord]], metric: str, words: Words
) -> dict[str, Any]:
    found = [record for _, record in records]
    metrics = list(dict.fromkeys(m for record in found for m in charts.metrics_of(record)))
    chosen = metric if metric in metrics else next(iter(metrics), "")
    return {
        "metrics": [[name, words.metric(name)] for name in metrics],
        "metric": chosen,
        "label": words.metric(chosen),
        "held": words.metric(f"val_{chosen}"),
        "runs": [_column(name, record, chosen) for name, record in records],
        "figure": charts.compared_curves(records, chosen, words) if chosen else None,
        "differences": differences([record.about for record in found]),
    }


def _column(name: str, record: RunRecord, metric: str) -> dict[str, Any]:
    """Return what the table of a comparison says of a run."""
    return {
        "name": name,
        "state": record.state,
        "epochs": len(record.epochs),
        "elapsed": record.status.get("elapsed"),
        "best": _best(record, metric),
        "best_held": _best(record, f"val_{metric}"),
    }


def _best(record: RunRecord, name: str) -> float | None:
    finite = [value for value in record.history.get(name, ()) if math.isfinite(value)]
    return (max if Monitor(name).mode == "max" else min)(finite, default=None)


def differences(abouts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings in which runs differ, with the value of each.

    Parameters
    ----------
    abouts : sequence of mapping
        What each run's record says it is.

    Examples
    --------
    >>> from chainrule.insight.views import differences
    >>> differences([{"training": {"seed": 1}}, {"training": {"seed": 2}}])
    [{'name': 'training.seed', 'values': ['1', '2']}]
    """
    kept = ("settings", "model", "training", "data", "machine")
    found = [_flat({key: about.get(key) for key in kept}) for about in abouts]
    rows = []
    for name in dict.fromkeys(name for one in found for name in one):
        values = [one.get(name, "") for one in found]
        if len(set(values)) > 1:
            rows.append({"name": name, "values": values})
    return rows


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Return values as texts by their paths, without what says nothing or is a picture."""
    found: dict[str, str] = {}
    for name, value in values.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}.")
        elif value not in (None, "", []) and path not in ("model.svg", "model.layers"):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found[path] = text[:500]
    return found
