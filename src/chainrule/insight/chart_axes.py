"""What charts have in common: axes, and which looks and weights they show."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.record import Looks

Figure = dict[str, Any]
_COLUMNS = 80  # looks in a chart; more are thinned out


def logarithmic(values: Any) -> dict[str, Any]:
    """Return a logarithmic axis for numbers, with marks at powers of ten where there are some; an
    ordinary one for numbers that differ little."""
    x = np.array(values, float)
    x = x[np.isfinite(x) & (x > 0)]
    decades = np.log10(x.max() / x.min()) if len(x) else 0.0
    axis: dict[str, Any] = {"type": "log", "exponentformat": "power"}
    if decades < 0.5:
        return {"tickformat": ".2~g"}
    if decades >= 1.2:
        return axis | {"dtick": max(1, round(decades / 6))}
    first = int(np.floor(np.log10(x.min()))) if len(x) else 0
    marks = [n * 10.0**k for k in range(first, first + 3) for n in (1, 2, 3, 5)]
    return axis | {"tickvals": marks, "ticktext": [f"{n:.2g}" for n in marks]}


def shares(values: Array) -> dict[str, Any]:
    """Return an axis of shares from 0, on which a line of zeros is seen to be low."""
    top = float(np.clip(1.1 * np.nanmax(values), 0.05, 1.02))
    return {"tickformat": ".0%", "range": [-0.02 * top, top]}


def ticks(steps: Array) -> dict[str, Any]:
    """Return an axis of columns, which are looks, with the steps beneath."""
    places = np.unique(np.linspace(0, len(steps) - 1, min(5, len(steps))).astype(int))
    return {
        "tickvals": places.tolist(),
        "ticktext": [f"{steps[i]:,}" for i in places],
        "tickangle": 0,
    }


def thinned(count: int) -> Array:
    """Return which looks are shown."""
    return np.unique(np.linspace(0, count - 1, min(count, _COLUMNS)).astype(int))


def listed(values: Array) -> list[float | None]:
    """Return numbers with four digits; a gap for those that are not finite."""
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in values.tolist()]


def positive(values: Array) -> list[float | None]:
    """Return numbers for a logarithmic axis, where those up to 0 are gaps."""
    return listed(np.where(values > 0, values, np.nan))


def kernels(looks: Looks) -> Array:
    """Return the places of weights with several axes, or of all where there are none."""
    kernels = [i for i, w in enumerate(looks.weights) if len(w.shape) > 1]
    return np.array(kernels or [*range(len(looks.weights))], int)
