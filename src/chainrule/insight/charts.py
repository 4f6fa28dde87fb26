"""Charts of a run as Plotly figures; each is ``None`` where the record has nothing to show.

The figures are plain data (`Figure`): the packages that draw them are needed by the page alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight import style
from chainrule.insight.chart_axes import (
    Figure,
    kernels,
    listed,
    logarithmic,
    positive,
    shares,
    thinned,
    ticks,
)
from chainrule.insight.charts_of_sizes import histograms
from chainrule.insight.record import Looks, RunRecord
from chainrule.insight.words import Words

_MARK = 7  # the size of a marker
_MARKED = 60  # points up to which each of a curve has one
_MARKS = 10  # of a curve among those of other runs
_CALLED = 28  # letters of a run's name


def learning_curves(record: RunRecord, name: str, words: Words) -> Figure | None:
    """Return the curve of a number over the epochs, training beside validation."""
    traces = []
    for kind, x, y in _curves(record, name):
        held = kind == "validation"
        size = _MARK * (len(y) <= _MARKED)
        traces.append({**_drawn(x, y, 2 * held, int(held), held, size), "name": words(kind)})
    return _over_epochs(traces, name, words, 320)


def compared_curves(
    runs: Sequence[tuple[str, RunRecord]], name: str, words: Words
) -> Figure | None:
    """Return the curves of a number of several runs, given with their names: each run has a colour
    and a marker, validation is dashed."""
    traces, keys = [], []
    names = style.unlike([called for called, _ in runs], paths=False, longest=_CALLED)
    for place, (called, (_, record)) in enumerate(zip(names, runs, strict=True)):
        more = {"name": called, "legendgroup": str(place)}
        for kind, x, y in _curves(record, name):
            sizes = _sparse(len(y), place, len(runs))
            drawn = _drawn(x, y, place, place, kind == "validation", sizes)
            said = f"(%{{x}}, %{{y:.4g}})<extra>%{{fullData.name}} {words(kind)}</extra>"
            traces.append({**drawn, **more, "showlegend": False, "hovertemplate": said})
        # The legend has a mark of its own: in that of a curve few markers would be hardly seen.
        keys.append({**_drawn([None], [None], place, place, False, _MARK), **more})
    height = 320 + 20 * max(0, len(runs) - 3)  # on a phone each name is a line of its own
    figure = _over_epochs(traces, name, words, height)
    if figure is not None:
        figure["data"] += keys
        figure["layout"]["legend"]["tracegroupgap"] = 0
    return figure


def _curves(record: RunRecord, name: str) -> list[tuple[str, list[float], list[float]]]:
    """Return kind, epochs and numbers of the curves that there are of a number."""
    kinds = (("training", name), ("validation", f"val_{name}"))
    found = [(kind, *_curve(record, key)) for kind, key in kinds]
    return [one for one in found if len(one[2])]


def _sparse(points: int, place: int, places: int) -> list[int]:
    """Return sizes of the markers of a curve: a few are seen, beside those of other curves."""
    apart = -(-points // _MARKS)
    return [_MARK * (i % apart == place * apart // places) for i in range(points)]


def _over_epochs(
    traces: list[dict[str, Any]], name: str, words: Words, height: int
) -> Figure | None:
    if not traces:
        return None
    given = style.layout(words("epoch"), words.metric(name), height, yaxis=_wide(traces))
    if max(t["x"][-1] for t in traces) <= 10:
        given["xaxis"]["dtick"] = 1
    return {"data": traces, "layout": given}


def _curve(record: RunRecord, key: str) -> tuple[list[float], list[float]]:
    """Return epochs and numbers; of a run in its first epochs also those on the way."""
    ended = [e for e in record.epochs if key in e["logs"]]
    points = [(e["epoch"] + 1.0, e["logs"][key]) for e in ended]
    if len(points) < 2:
        steps = (record.about.get("training") or {}).get("steps") or 0
        found = [p for p in record.progress if key in p["logs"] and p.get("batch") and steps]
        points += [(p["epoch"] + p["batch"] / steps, p["logs"][key]) for p in found]
        points.sort(key=lambda point: point[0])
    return [p[0] for p in points], [p[1] for p in points]


def _drawn(
    x: Sequence[float | None],
    y: Sequence[float | None],
    color: int,
    symbol: int,
    held: bool,
    size: int | list[int],
) -> dict[str, Any]:
    """Return a curve in the colour and with the marker at these places, dashed if `held`."""
    ink = style.COLORS[color % len(style.COLORS)]
    return {
        "type": "scatter",
        "mode": "lines+markers" if size else "lines",
        "x": x,
        "y": y,
        "line": {"color": ink, "dash": "dash" if held else "solid", "width": 2},
        "marker": {
            "symbol": style.MARKERS[symbol % len(style.MARKERS)],
            "size": size,
            "opacity": 1,
            "color": "white" if held else ink,
            "line": {"color": ink, "width": 1.5},
        },
    }


def _wide(traces: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a logarithmic axis where positive numbers span more than two powers of ten."""
    values = np.array([v for t in traces for v in t["y"]], float)
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 100 * values.min():
        return logarithmic(values)
    return {}


def learning_rate(record: RunRecord, words: Words) -> Figure | None:
    """Return the learning rate over the steps."""
    x, y = _rates(record)
    if not x:
        return None
    trace = {"type": "scatter", "mode": "lines", "x": x, "y": y, **style.line(1)}
    trace["line"]["dash"] = "solid"
    wide = _wide([trace])
    given = style.layout(words("step"), words("learning_rate"), 260, yaxis=wide, showlegend=False)
    if not wide:
        given["yaxis"]["rangemode"] = "tozero"
    return {"data": [trace], "layout": given}


def _rates(record: RunRecord) -> tuple[list[int], list[float]]:
    """Return steps and learning rates: those of a schedule, else those noted on the way."""
    given = (record.final or {}).get("rates")
    if given:
        return given["steps"], given["learning_rate"]
    noted = [p for p in (*record.progress, *record.epochs) if p.get("learning_rate") is not None]
    found = sorted((int(p["step"]), float(p["learning_rate"])) for p in noted)
    return [step for step, _ in found], [rate for _, rate in found]


def gradient_by_depth(looks: Looks, words: Words) -> Figure | None:
    """Return the norm of the error signal at each layer, early, in the middle and late."""
    norms = looks.error["norm"]
    kept = np.isfinite(norms).any(axis=0)
    if kept.sum() < 2:
        return None
    names = style.unlike([layer.name for layer, k in zip(looks.layers, kept, strict=True) if k])
    picked = sorted({0, len(looks) // 4, len(looks) // 2, len(looks) - 1})
    traces = []
    for place, i in enumerate(picked):
        color = style.shade(place, len(picked))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": names,
                "y": positive(norms[i, kept]),
                "name": words("first_look", step=int(looks.steps[i])),
                "line": {"color": color, "dash": style.DASHES[place], "width": 2},
                "marker": {"symbol": style.MARKERS[place], "size": 8, "color": color},
            }
        )
    axis = logarithmic(norms[picked][:, kept])
    given = style.layout(words("layer"), words("error_norm"), yaxis=axis)
    return {"data": traces, "layout": given}


def gradient_over_time(looks: Looks, words: Words) -> Figure | None:
    """Return a map of the norm of the error signal: layers over steps."""
    norms = looks.error["norm"]
    kept = np.flatnonzero(np.isfinite(norms).any(axis=0))
    names = [looks.layers[i].name for i in kept]
    return _map(looks, norms[:, kept], names, words, "error_norm", log=True)


def update_ratios(looks: Looks, words: Words) -> Figure | None:
    """Return the norm of each kernel's update by that of the kernel, over the steps.

    Source
    ------
    About 1e-3 is usual: A. Karpathy, CS231n, "Neural Networks Part 3", ratio of weights to updates.
    """
    kept = kernels(looks)
    names = [looks.weights[i].name for i in kept]
    figure = _over_time(looks, looks.ratio[:, kept], names, words, "update_ratio", True)
    if figure is not None and figure["data"][0]["type"] == "scatter":
        rule = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1e-3, "y1": 1e-3}
        rule["line"] = {"color": "#6b7785", "width": 1, "dash": "dot"}
        flat = figure["layout"]["yaxis"].get("type") != "log"
        note = {
            "xref": "paper",
            "x": 1,
            "y": 1e-3 if flat else -3,
            "xanchor": "right",
            "yanchor": "bottom",
        }
        note |= {"text": words("usual"), "showarrow": False, "font": {"size": 11}}
        note["bgcolor"] = "rgba(255,255,255,0.8)"
        figure["layout"] |= {"shapes": [rule], "annotations": [note]}
    return figure


def signal_to_noise(looks: Looks, words: Words) -> Figure | None:
    """Return the signal to noise of the gradients of the kernels, over the steps."""
    kept = kernels(looks)
    names = [looks.weights[i].name for i in kept]
    return _over_time(looks, looks.snr[:, kept], names, words, "snr", True)


def dead_units(looks: Looks, words: Words) -> Figure | None:
    """Return the share of units that put out 0 for all samples, over the steps."""
    kept = np.flatnonzero(np.isfinite(looks.dead).any(axis=0))
    names = [looks.layers[i].name for i in kept]
    return _over_time(looks, looks.dead[:, kept], names, words, "dead")


def saturated_values(looks: Looks, words: Words) -> Figure | None:
    """Return the share of outputs in the flat ends of bounded activations, over the steps."""
    bounded = ("tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign")
    kept = np.array([i for i, a in enumerate(looks.layers) if a.activation in bounded], int)
    names = [looks.layers[i].name for i in kept]
    return _over_time(looks, looks.activation["saturated"][:, kept], names, words, "saturated")


def _over_time(
    looks: Looks, values: Array, names: list[str], words: Words, title: str, log: bool = False
) -> Figure | None:
    """Return a curve for each thing [looks, things] where they are few, else a map."""
    if not len(names) or not (values > 0 if log else np.isfinite(values)).any():
        return None
    if len(names) > style.LINES:
        return _map(looks, values, names, words, title, log)
    picked = thinned(len(looks))
    picked = picked[np.isfinite(values[picked]).any(axis=1)]
    x = looks.steps[picked].tolist()
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": positive(values[picked, i]) if log else listed(values[picked, i]),
            "name": name,
            **style.line(i),
        }
        for i, name in enumerate(style.unlike(names))
    ]
    axis = logarithmic(values) if log else shares(values)
    height = 320 + 16 * max(0, len(names) - 3)  # on a phone each name is a line of its own
    given = style.layout(words("step"), words(title), height, yaxis=axis, showlegend=True)
    return {"data": traces, "layout": given}


def _map(
    looks: Looks,
    values: Array,
    names: list[str],
    words: Words,
    title: str,
    log: bool = False,
) -> Figure | None:
    """Return a map of values [looks, things]: things one below the other, the first on top."""
    if not len(names) or not np.isfinite(values).any():
        return None
    picked = thinned(len(looks))
    shown = values[picked].T
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.log10(np.where(shown > 0, shown, np.nan)) if log else shown
    trace = {
        "type": "heatmap",
        "x": [*range(len(picked))],
        "y": style.unlike(names),
        "z": [listed(row) for row in z],
        "colorscale": style.SCALE,
        "colorbar": _bar(words(title), log, z),
        "hovertemplate": "%{y}: %{customdata:.3g}<extra></extra>",
        "customdata": [listed(row) for row in shown],
    }
    height = 130 + 24 * min(max(len(names), 4), 30)
    given = style.layout(words("step"), "", height, xaxis=ticks(looks.steps[picked]))
    given["yaxis"] |= {"autorange": "reversed", "showgrid": False, "type": "category"}
    given["xaxis"]["showgrid"] = False
    return {"data": [trace], "layout": given}


def _bar(title: str, log: bool, z: Array) -> dict[str, Any]:
    """Return the legend of a map's colours, above it, so that a phone has room beside it."""
    bar: dict[str, Any] = {
        "orientation": "h",
        "y": 1.0,
        "yanchor": "bottom",
        "thickness": 10,
        "title": {"text": title, "side": "top"},
    }
    if log and np.isfinite(z).any():
        ticks = np.linspace(np.nanmin(z), np.nanmax(z), 4).tolist()
        bar |= {"tickvals": ticks, "ticktext": [f"{10**n:.2g}" for n in ticks]}
    elif not log:
        bar["tickformat"] = ".0%"
    return bar


Chart = Callable[[Looks, Words], Figure | None]
# Charts of statistics by the key of their title.
OF_LOOKS: dict[str, Chart] = {
    "gradient_by_depth": gradient_by_depth,
    "gradient_over_time": gradient_over_time,
    "update_ratios": update_ratios,
    "signal_to_noise": signal_to_noise,
    "dead_units": dead_units,
    "saturated_values": saturated_values,
    "weight_histograms": lambda looks, words: histograms(looks, "weight", words),
    "activation_histograms": lambda looks, words: histograms(looks, "activation", words),
    "gradient_histograms": lambda looks, words: histograms(looks, "gradient", words),
}


def metrics_of(record: RunRecord) -> list[str]:
    """Return the numbers that there are curves of, the loss first."""
    points = [*record.epochs, *record.progress]
    names = dict.fromkeys(n.removeprefix("val_") for p in points for n in p["logs"])
    return [n for n in names if n not in ("learning_rate", "skipped")]
