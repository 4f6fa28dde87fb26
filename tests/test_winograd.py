"""3 x 3 convolutions with many channels, which go by Winograd's filtering: their error is bounded,
and where they are cut changes no bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule import ops  # noqa: F401 - registers the operations
from chainrule.executors import run, set_num_threads
from chainrule.graph import Variable, registry
from chainrule.graph.primitive import run_body

# The root of the mean square of the error, against that of the values: the sum itself, taken in
# float32 by NumPy, has 1.0e-7 to 2.8e-7 here.
BOUND = {"float32": 6e-7, "float64": 1e-14}

SHAPES = [  # samples, height, width, channels, filters, padding
    (3, 8, 8, 32, 32, (1, 1, 1, 1)),
    (2, 7, 9, 32, 48, (1, 1, 1, 1)),  # odd: the last tiles are cut
    (2, 6, 33, 64, 32, (0, 0, 0, 0)),
    (1, 4, 5, 48, 64, (2, 0, 1, 2)),
    (2, 40, 38, 64, 64, (1, 1, 1, 1)),  # several strips
]


def calls(shape: tuple[Any, ...]) -> Iterator[tuple[str, list[np.ndarray], dict[str, Any]]]:
    """Yield each operation that multiplies a transformed kernel, or gives its gradient."""
    n, height, width, c, m, padding = shape
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((n, height, width, c)), rng.standard_normal((3, 3, c, m))
    form = {"strides": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    out = (height + sum(padding[:2]) - 2, width + sum(padding[2:]) - 2)
    g, b = rng.standard_normal((n, *out, m)), rng.standard_normal(m)
    turned = np.ascontiguousarray(w.swapaxes(-1, -2))
    yield "conv", [x, w], form
    yield "conv_bias", [x, w, b], {**form, "activation": "relu"}
    yield "conv_transpose", [g, turned], {**form, "size": (height, width)}
    yield "partial_kernel_gradients", [x, g], {**form, "kernel": (3, 3), "parts": n}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", BOUND)
def test_error_is_bounded(shape: tuple[Any, ...], dtype: str) -> None:
    for name, arrays, attributes in calls(shape):
        given = [a.astype(dtype) for a in arrays]
        exact = [a.astype(np.float64) for a in given]
        (want,) = run_body(registry()[name], exact, attributes)
        values = [Variable(a, dtype=dtype).leaf for a in given]
        y = registry()[name].apply(values, attributes)
        found = []
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(run((y,))[0])
        assert len({f.tobytes() for f in found}) == 1
        error = np.sqrt(((found[0] - want) ** 2).mean() / (want**2).mean())
        assert error < BOUND[dtype], name
        assert np.abs(found[0] - want).max() < 20 * BOUND[dtype] * np.sqrt((want**2).mean()), name


def test_nan_reaches_what_sees_it() -> None:
    x = np.zeros((1, 8, 8, 32), np.float32)
    x[0, 4, 4, 7] = np.nan
    values = [Variable(a, dtype="float32").leaf for a in (x, np.ones((3, 3, 32, 32), np.float32))]
    form = {"strides": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1)}
    (y,) = run((registry()["conv"].apply(values, form),))
    assert np.isnan(y[0, 3:6, 3:6]).all()
