"""The three convolutions: values and both gradients of random cases are those of PyTorch.

There are 2,000 cases for each executor where CHAINRULE_RANDOM_CASES is 2000.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.executors import run, set_num_threads
from chainrule.graph import Variable, gradient
from chainrule.ops.conv import conv, conv_kernel_gradient, conv_transpose, out_space
from peers import peer

COUNT = int(os.environ.get("CHAINRULE_RANDOM_CASES", "30"))
EXECUTORS = ("reference", "native")
LINEAR = ("conv", "conv_transpose", "conv_kernel_gradient")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Form:
    """A convolution: of what sizes, and how."""

    samples: int
    size: Shape
    channels: int
    kernel: Shape
    outputs: int
    strides: Shape
    padding: Shape
    dilation: Shape
    groups: int

    @property
    def out(self) -> Shape:
        return out_space(self.size, self.kernel, self.strides, self.padding, self.dilation)

    @property
    def attributes(self) -> dict[str, Any]:
        names = ("strides", "padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    def arrays(self, seed: int, dtype: str = "float64") -> list[np.ndarray]:
        """Inputs, kernel and a number for each output."""
        shapes = (
            (self.samples, *self.size, self.channels),
            (*self.kernel, self.channels // self.groups, self.outputs),
            (self.samples, *self.out, self.outputs),
        )
        rng = np.random.default_rng(seed)
        return [rng.standard_normal(s).astype(dtype) for s in shapes]


def drawn(rng: np.random.Generator) -> Form:
    """A random convolution that has an output: strides, dilation and padding as they come, small
    images up to a pixel, kernels larger than the image where the padding makes room."""
    while True:
        rank = int(rng.choice([1, 2, 2, 2, 3]))
        most = {1: 40, 2: 13, 3: 6}[rank]
        groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
        depthwise = groups > 1 and rng.random() < 0.4
        channels = groups * (1 if depthwise else int(rng.choice([1, 2, 3, 4, 8, 17])))
        outputs = groups * int(rng.choice([1, 2, 3] if depthwise else [1, 2, 3, 5, 8, 16, 19]))

        def several(low: int, high: int, rank: int = rank) -> Shape:
            return tuple(int(n) for n in rng.integers(low, high + 1, rank))

        plain = rng.random() < 0.4
        size = several(1, most) if rng.random() < 0.85 else (1,) * rank
        kernel = several(1, 5 if rank < 3 else 3)
        strides = (1,) * rank if plain else several(1, 4)
        dilation = (1,) * rank if plain else several(1, 3)
        padding = several(0, 4, 2 * rank) if rng.random() < 0.7 else (0,) * (2 * rank)
        form = Form(
            int(rng.integers(1, 4)), size, channels, kernel, outputs,
            strides, padding, dilation, groups,
        )  # fmt: skip
        if min(form.out) > 0:
            return form


ODD = [
    Form(2, (1, 1), 3, (1, 1), 4, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    Form(1, (1, 1), 1, (3, 3), 1, (1, 1), (1, 1, 1, 1), (1, 1), 1),
    Form(2, (1, 7), 3, (5, 5), 2, (1, 1), (2, 2, 2, 2), (1, 1), 1),
    Form(2, (3, 3), 4, (7, 7), 8, (2, 2), (3, 4, 4, 3), (1, 1), 2),
    Form(1, (8, 8), 2, (1, 1), 3, (5, 6), (0, 0, 0, 0), (1, 1), 1),
    Form(1, (5, 5), 2, (2, 2), 3, (3, 3), (0, 5, 6, 0), (1, 1), 1),
    Form(2, (9, 10), 6, (3, 3), 12, (2, 1), (1, 0, 0, 2), (1, 2), 6),
    Form(3, (17,), 5, (4,), 7, (3,), (0, 2), (2,), 1),
    Form(2, (10,), 1, (3,), 1, (1,), (4, 4), (1,), 1),
    Form(1, (1, 1, 1), 2, (2, 2, 2), 2, (1, 1, 1), (1, 1, 1, 1, 1, 1), (1, 1, 1), 1),
    Form(1, (3, 4, 5), 4, (3, 1, 2), 6, (2, 1, 3), (2, 1, 0, 0, 1, 2), (1, 1, 1), 2),
    Form(5, (12, 11), 33, (3, 3), 34, (1, 1), (1, 1, 1, 1), (1, 1), 1),
    Form(2, (28, 28), 1, (5, 5), 6, (1, 1), (2, 2, 2, 2), (1, 1), 1),
    Form(2, (9, 9), 130, (1, 1), 70, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    Form(1, (6, 6), 3, (3, 3), 600, (1, 1), (0, 0, 0, 0), (1, 1), 1),
]


def in_torch(form: Form, arrays: list[np.ndarray], more: list[np.ndarray]) -> dict[str, Any]:
    """The value of each of the three and its two gradients: the derivatives of PyTorch's
    convolution, and the derivatives of those."""
    torch = peer("torch")
    f = torch.nn.functional
    rank = len(form.size)
    convolve = {1: f.conv1d, 2: f.conv2d, 3: f.conv3d}[rank]

    def first(a: np.ndarray) -> Any:
        return torch.tensor(np.ascontiguousarray(np.moveaxis(a, -1, 1)), requires_grad=True)

    def outputs_first(a: np.ndarray) -> Any:
        order = (rank + 1, rank, *range(rank))
        return torch.tensor(np.ascontiguousarray(a.transpose(order)), requires_grad=True)

    def ours(a: Any, like: Any) -> np.ndarray:
        order = (*range(2, rank + 2), 1, 0) if like is w else (0, *range(2, rank + 2), 1)
        return a.detach().numpy().transpose(order)

    x, g, hx = first(arrays[0]), first(arrays[2]), first(more[0])
    w, hw = outputs_first(arrays[1]), outputs_first(more[1])
    pairs = [n for axis in reversed(range(rank)) for n in form.padding[2 * axis : 2 * axis + 2]]
    attributes = {"stride": form.strides, "dilation": form.dilation, "groups": form.groups}
    y = convolve(f.pad(x, pairs), w, **attributes)
    dx, dw = torch.autograd.grad(y, (x, w), g, create_graph=True)

    def both(value: Any, like: Any, weights: Any, *inputs: Any) -> list[np.ndarray]:
        slopes = torch.autograd.grad(value, inputs, weights, retain_graph=True)
        return [ours(value, like), *map(ours, slopes, inputs)]

    return {
        "conv": both(y, g, g, x, w),
        "conv_transpose": both(dx, x, hx, g, w),
        "conv_kernel_gradient": both(dw, w, hw, x, g),
    }


def turned(w: np.ndarray, groups: int) -> np.ndarray:
    """The kernel [*k, c / groups, m] as `conv_transpose` takes it, [*k, m / groups, c]."""
    *kernel, inner, m = w.shape
    parts = w.reshape(*kernel, inner, groups, m // groups).swapaxes(-3, -1)
    return np.ascontiguousarray(parts.reshape(*kernel, m // groups, groups * inner))


def found(form: Form, name: str, arrays: list[np.ndarray], h: np.ndarray, executor: str) -> Any:
    """One of the three and its two gradients, on an executor."""
    x, w, g = arrays
    w = turned(w, form.groups) if name == "conv_transpose" else w
    given = {"conv": (x, w), "conv_transpose": (g, w), "conv_kernel_gradient": (x, g)}[name]
    more = {"conv_transpose": {"size": form.size}, "conv_kernel_gradient": {"kernel": form.kernel}}
    leaves = [Variable(a, dtype=a.dtype.name) for a in given]
    primitive = {"conv": conv, "conv_transpose": conv_transpose}.get(name, conv_kernel_gradient)
    y = primitive(*(v.leaf for v in leaves), **form.attributes, **more.get(name, {}))
    return run([y, *gradient(ops.sum(ops.multiply(y, h)), leaves)], executor)


def check(form: Form, seed: int, executor: str, dtype: str) -> None:
    exact = form.arrays(seed)
    more = form.arrays(seed + 1)[:2]
    wanted = in_torch(form, exact, more)
    arrays = [a.astype(dtype) for a in exact]
    weights = dict(zip(LINEAR, (exact[2], *more), strict=True))
    tolerance = 1e-10 if dtype == "float64" else 2e-5
    for name in LINEAR:
        values = found(form, name, arrays, weights[name].astype(dtype), executor)
        expected = wanted[name]
        if name == "conv_transpose":
            expected = [*expected[:2], turned(expected[2], form.groups)]
        for a, e in zip(values, expected, strict=True):
            assert a.shape == e.shape and a.dtype == dtype
            scale = max(1.0, float(np.abs(e).max(initial=0.0)))
            message = f"{name} {form}"
            np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * scale, err_msg=message)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("form", ODD, ids=str)
def test_odd_cases_are_those_of_torch(form: Form, executor: str) -> None:
    for dtype in ("float64", "float32"):
        check(form, 5, executor, dtype)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_random_cases_are_those_of_torch(executor: str) -> None:
    rng = np.random.default_rng(2026)
    for i in range(COUNT):
        set_num_threads(1 + i % 3)
        check(drawn(rng), i, executor, "float64" if i % 2 else "float32")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_empty_ones(executor: str) -> None:
    """No samples, no channels, no room for the kernel: zeros of the right shape."""
    form = Form(2, (4, 5), 2, (3, 3), 3, (1, 1), (1, 0, 0, 1), (1, 1), 1)
    empty = [
        replace(form, samples=0), replace(form, channels=0), replace(form, outputs=0),
        replace(form, size=(0, 5)), replace(form, size=(1, 5), padding=(0, 0, 0, 0)),
        replace(form, kernel=(9, 9)),
    ]  # fmt: skip
    for one in empty:
        x, w, g = one.arrays(1)
        shapes = {"conv": g, "conv_transpose": x, "conv_kernel_gradient": w}
        for name, like in shapes.items():
            for value in found(one, name, [x, w, g], np.ones(like.shape), executor):
                assert not value.any()
            assert found(one, name, [x, w, g], np.ones(like.shape), executor)[0].shape == like.shape


def test_nothing_leaks_over_the_border() -> None:
    """What stands behind the padding is 0, though the array's neighbours are not finite."""
    form = Form(3, (5, 5), 3, (3, 3), 4, (1, 1), (1, 1, 1, 1), (1, 1), 1)
    x, w, g = form.arrays(2, "float32")
    x[1] = np.inf
    values = found(form, "conv", [x, w, g], np.ones(g.shape, "float32"), "native")
    assert np.isfinite(values[0][[0, 2]]).all() and not np.isfinite(values[0][1]).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"strides": (1,)}, "strides is .1.; expected 2 numbers of at least 1"),
        ({"padding": (0, 0, 0, -1)}, "padding is .0, 0, 0, -1.; expected 4 numbers of at least 0"),
        ({"dilation": (0, 1)}, "dilation is .0, 1."),
        ({"groups": 3}, "4 channels in and 6 out do not form 3 groups"),
        ({"groups": 2}, "the kernel takes 8 channels, but there are 4"),
    ],
)
def test_wrong_attributes(change: dict[str, Any], words: str) -> None:
    form = Form(1, (5, 5), 4, (3, 3), 6, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    x, w, _ = (Variable(a).leaf for a in form.arrays(1))
    with pytest.raises((ArgumentError, ShapeError), match=words):
        conv(x, w, **{**form.attributes, **change})
