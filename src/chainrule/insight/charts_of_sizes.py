"""Maps of how the sizes of weights, activations and gradients are spread, over the steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight import style
from chainrule.insight.chart_axes import Figure, kernels, thinned, ticks
from chainrule.insight.record import Looks
from chainrule.insight.words import Words
from chainrule.ops.survey import ZERO_BIN

_RARE = 0.02  # the share of a size at any step, from which the axis of sizes reaches so far


def histograms(looks: Looks, kind: str, words: Words) -> Figure | None:
    """Return how the sizes of weights, activations or gradients are spread, over the steps.

    `kind`: weight, activation or gradient. One map for each layer or weight, chosen by a menu.
    """
    layers = kind == "activation"
    things = looks.layers if layers else looks.weights
    counts = getattr(looks, kind)["histogram"][thinned(len(looks))]
    places = range(len(things)) if layers else kernels(looks).tolist()
    kept = [place for place in places if counts[:, place].any()]
    if not kept:
        return None
    names = style.unlike([things[place].name for place in kept])
    traces = [_spread(counts[:, place], place == kept[0]) for place in kept]
    axes = [_sizes(counts[:, place]) for place in kept]
    given = style.layout(words("step"), words("magnitude"), 340)
    given["xaxis"] |= {**ticks(looks.steps[thinned(len(looks))]), "showgrid": False}
    given["yaxis"] |= {**axes[0], "showgrid": False}
    given["updatemenus"] = [menu(names, axes)] if len(names) > 1 else []
    given["margin"]["t"] = 48
    return {"data": traces, "layout": given}


def _spread(counts: Array, visible: bool) -> dict[str, Any]:
    """Return a map of shares of sizes [looks, bins]."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return {
        "type": "heatmap",
        "z": np.round(shares.T, 3).tolist(),
        "colorscale": style.SCALE,
        "showscale": False,
        "visible": visible,
        "hovertemplate": "%{z:.1%}<extra></extra>",
    }


def _sizes(counts: Array) -> dict[str, Any]:
    """Return the axis of sizes, cut to those that there are."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    found = np.flatnonzero(shares.max(axis=0) >= _RARE)
    low, high = int(found[0]), int(found[-1])
    ticks = [*range(low, high + 2, max(1, (high + 1 - low) // 5))]
    sizes = [4.0 ** (i - ZERO_BIN) for i in ticks]
    texts = [f"{n:,.0f}" if n >= 100 else f"{n:.2g}" for n in sizes]
    return {
        "range": [low - 0.5, high + 0.5],
        "tickvals": [i - 0.5 for i in ticks],
        "ticktext": texts,
    }


def menu(names: list[str], axes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a menu that shows one of the traces of a chart, each with an axis of its own."""
    buttons = []
    for chosen, name in enumerate(names):
        visible = {"visible": [i == chosen for i in range(len(names))]}
        axis = {f"yaxis.{k}": v for k, v in axes[chosen].items()} if axes else {}
        buttons.append({"label": name, "method": "update", "args": [visible, axis]})
    return {
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": 1.03,
        "yanchor": "bottom",
        "bgcolor": "white",
        "pad": {"t": 0, "b": 0},
    }
