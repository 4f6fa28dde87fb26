"""Charts of what was measured at the end of a run: errors, time and memory by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight import style
from chainrule.insight.chart_axes import Figure
from chainrule.insight.charts_of_sizes import menu
from chainrule.insight.words import Words

_WRITTEN = 20  # classes up to which the counts are written into the cells


def confusion(evaluation: Mapping[str, Any], words: Words) -> Figure | None:
    """Return how many samples of each class (down) were taken for each (across).

    Colours are shares of the class, so that a rare class can be seen as well as a frequent one.
    """
    if not evaluation.get("matrix"):
        return None
    counts = np.array(evaluation["matrix"], float)
    names = style.unlike(evaluation["classes"], paths=False)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    trace = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": np.round(shares, 4).tolist(),
        "customdata": counts.astype(int).tolist(),
        "colorscale": style.SCALE,
        "zmin": 0,
        "zmax": 1,
        "showscale": len(names) > _WRITTEN,
        "colorbar": {"tickformat": ".0%", "thickness": 10},
        "xgap": 1,
        "ygap": 1,
        "hovertemplate": f"{words('true')} %{{y}}, {words('predicted')} %{{x}}: "
        "%{customdata} (%{z:.1%})<extra></extra>",
    }
    if len(names) <= _WRITTEN:
        trace |= {"text": counts.astype(int).tolist(), "texttemplate": "%{text}"}
    height = 140 + int(np.clip(30 * len(names), 120, 520))
    given = style.layout(words("predicted"), words("true"), height)
    given["yaxis"] |= {"autorange": "reversed", "type": "category", "showgrid": False}
    given["xaxis"] |= {"type": "category", "showgrid": False, "side": "bottom"}
    return {"data": [trace], "layout": given}


def regression(arrays: Mapping[str, Array], words: Words) -> Figure | None:
    """Return predicted numbers over true ones; on the line they would be right."""
    if "regression/true" not in arrays:
        return None
    true, predicted = arrays["regression/true"], arrays["regression/predicted"]
    good = np.isfinite(true) & np.isfinite(predicted)
    if not good.any():
        return None
    true, predicted = true[good], predicted[good]
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    points = {
        "type": "scatter",
        "mode": "markers",
        "x": _rounded(true),
        "y": _rounded(predicted),
        "marker": {"size": 6, "color": style.COLORS[1], "opacity": 0.45},
    }
    rule: dict[str, Any]
    rule = {"type": "scatter", "mode": "lines", "x": ends, "y": ends, "hoverinfo": "skip"}
    rule["line"] = {"color": style.COLORS[0], "dash": "dash", "width": 1}
    given = style.layout(words("true"), words("predicted"), 380, showlegend=False)
    return {"data": [points, rule], "layout": given}


def residuals(arrays: Mapping[str, Array], words: Words) -> Figure | None:
    """Return how predicted less true numbers are spread."""
    if "regression/true" not in arrays:
        return None
    off = arrays["regression/predicted"].astype(float) - arrays["regression/true"]
    off = off[np.isfinite(off)]
    if not len(off):
        return None
    counts, edges = np.histogram(off, 30)
    middles = (edges[:-1] + edges[1:]) / 2
    trace = {"type": "bar", "x": _rounded(middles), "y": counts.tolist(), **_fill(1)}
    given = style.layout(words("residual"), words("samples"), 300, showlegend=False, bargap=0.05)
    return {"data": [trace], "layout": given}


def _rounded(values: Array) -> list[float]:
    return [float(f"{v:.5g}") for v in values.tolist()]


def _fill(place: int) -> dict[str, Any]:
    """Return colour and hatching of the bars at this place."""
    marker = {
        "color": (style.COLORS[1], "#f3d9a8")[place - 1],
        "line": {"color": style.INK, "width": 0.5},
        "pattern": {
            "shape": style.HATCHES[place - 1],
            "fgcolor": style.INK,
            "fillmode": "overlay",
            "solidity": 0.2,
            "size": 6,
        },
    }
    return {"marker": marker}


def time_by_layer(layers: Sequence[Mapping[str, Any]], words: Words) -> Figure | None:
    """Return the milliseconds that each layer takes for a batch, forward and backward."""
    parts = {"forward": 1e3, "backward": 1e3}
    return _bars([one for one in layers if "forward" in one], parts, "milliseconds", words)


def memory_by_layer(layers: Sequence[Mapping[str, Any]], words: Words) -> Figure | None:
    """Return the megabytes that each layer's weights, and activations for a batch, take."""
    parts = {"weights": 2.0**-20, "activations": 2.0**-20}
    return _bars([one for one in layers if "weights" in one], parts, "mebibytes", words)


def _bars(
    layers: Sequence[Mapping[str, Any]], parts: Mapping[str, float], title: str, words: Words
) -> Figure | None:
    layers = [one for one in layers if any(one.get(p) for p in parts)]
    if not layers:
        return None
    names = style.unlike([one["name"] for one in layers])
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [float(f"{(one.get(part) or 0) * factor:.4g}") for one in layers],
            "y": names,
            "name": words(part),
            **_fill(place),
        }
        for place, (part, factor) in enumerate(parts.items(), 1)
    ]
    height = 130 + 26 * min(max(len(names), 2), 40)
    given = style.layout(words(title), "", height, barmode="stack", bargap=0.3)
    given["yaxis"] |= {"autorange": "reversed", "type": "category", "showgrid": False}
    given["legend"]["traceorder"] = "normal"
    return {"data": traces, "layout": given}


def final_histograms(arrays: Mapping[str, Array], words: Words) -> Figure | None:
    """Return how the elements of each weight were spread at the end, chosen by a menu."""
    names = [n.removesuffix("/counts") for n in arrays if n.endswith("/counts")]
    names = [n for n in names if n.startswith("histogram/") and f"{n}/edges" in arrays]
    if not names:
        return None
    traces = []
    for place, name in enumerate(names):
        counts, edges = arrays[f"{name}/counts"], arrays[f"{name}/edges"]
        middles = _rounded((edges[:-1] + edges[1:]) / 2)
        bar = {"type": "bar", "x": middles, "y": counts.tolist(), "visible": place == 0}
        traces.append({**bar, **_fill(1)})
    given = style.layout(words("weight"), words("elements"), 300, showlegend=False, bargap=0.02)
    if len(names) > 1:
        shown = style.unlike([name.removeprefix("histogram/") for name in names])
        given["updatemenus"], given["margin"]["t"] = [menu(shown)], 48
    return {"data": traces, "layout": given}
