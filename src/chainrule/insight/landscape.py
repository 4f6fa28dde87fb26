"""The loss along a line and over a plane of the weights."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, missing_package
from chainrule.insight.directions import owners_of, random_direction
from chainrule.insight.objective import Objective
from chainrule.insight.posed import given
from chainrule.models.prepared import whole
from chainrule.training.progress import Progress, mode_of

if TYPE_CHECKING:
    from chainrule.models.model import Model

Direction = str | Sequence[Any]

_BARS = "▁▂▃▄▅▆▇█"
_SHADES = " ░▒▓█"


@dataclass(frozen=True, eq=False)
class LossLine:
    """The loss along a line through the weights; printing it draws the curve.

    Attributes
    ----------
    steps : numpy.ndarray
        How far along the direction, 0 at the weights as they are.
    losses : numpy.ndarray
        The loss at each step, NaN or infinite where it is.
    direction : list of numpy.ndarray
        What 1 step adds to each trainable weight.
    """

    steps: Array
    losses: Array
    direction: list[Array] = field(repr=False)

    def __str__(self) -> str:
        lowest = int(np.nanargmin(self.losses)) if np.isfinite(self.losses).any() else 0
        here = int(np.abs(self.steps).argmin())
        return (
            f"{_marks(self.losses, _BARS)}\n"
            f"from {self.steps[0]:g} to {self.steps[-1]:g}: loss {self.losses[here]:.4g} at "
            f"{self.steps[here]:g}, lowest {self.losses[lowest]:.4g} at {self.steps[lowest]:.3g}"
        )

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw it, into a file or, without a path, with pyplot; return the axes.

        Raises
        ------
        MissingDependencyError
            Without matplotlib.
        """
        figure, axes = _axes(path)
        axes.plot(self.steps, self.losses, color="#1f4e9c")
        axes.axvline(0.0, color="#888", linewidth=0.8)
        axes.set_xlabel("step along the direction")
        axes.set_ylabel("loss")
        return _kept(figure, axes, path)


@dataclass(frozen=True, eq=False)
class LossPlane:
    """The loss over a plane through the weights; printing it shades the squares.

    Attributes
    ----------
    steps : numpy.ndarray
        How far along either direction.
    losses : numpy.ndarray
        ``losses[i, j]`` is at ``w + steps[i] * first + steps[j] * second``.
    first, second : list of numpy.ndarray
        What 1 step adds to each trainable weight.
    """

    steps: Array
    losses: Array
    first: list[Array] = field(repr=False)
    second: list[Array] = field(repr=False)

    def __str__(self) -> str:
        count = len(self.steps)
        finite = self.losses[np.isfinite(self.losses)]
        heights = np.log1p(self.losses - finite.min()) if finite.size else self.losses
        shades = _marks(heights.ravel(), _SHADES)
        rows = ["".join(2 * c for c in shades[i * count : (i + 1) * count]) for i in range(count)]
        ends = f"loss from {finite.min():.4g} to {finite.max():.4g}" if finite.size else "no loss"
        return "\n".join([*rows, f"from {self.steps[0]:g} to {self.steps[-1]:g} each way: {ends}"])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw contours, into a file or, without a path, with pyplot; return the axes.

        Raises
        ------
        MissingDependencyError
            Without matplotlib.
        """
        figure, axes = _axes(path)
        shown = np.ma.masked_invalid(self.losses.T)
        lines = axes.contour(self.steps, self.steps, shown, levels=20, cmap="viridis")
        axes.clabel(lines, fontsize=7)
        axes.plot(0.0, 0.0, "k+")
        axes.set_xlabel("first direction")
        axes.set_ylabel("second direction")
        axes.set_aspect("equal")
        return _kept(figure, axes, path)


def loss_along_line(
    model: Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    direction: Direction = "random",
    span: float | tuple[float, float] = 1.0,
    points: int = 41,
    samples: int = 1024,
    batch_size: int = 256,
    training: bool = False,
    seed: int = 0,
    verbose: str | int = "auto",
) -> LossLine:
    """``L(w + t d)``: the loss along a line through the weights; the model stays as it is.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t]; sample_weight : [n]

    Parameters
    ----------
    model : Model
        Compiled.
    x, y, sample_weight
        As in `train_on_batch`.
    direction : {"random", "gradient"} or sequence of array_like, default "random"
        ``"random"``: normal, each filter scaled to the norm of the weights' own, so that nets whose
        weights differ in scale can be compared, and biases and what normalization has kept;
        ``"gradient"``: that of steepest descent, of the norm of the weights; or arrays of the
        shapes of the trainable weights: the weights of another model less these, an eigenvector.
    span : float or pair of float, default 1.0
        From where to where, one number for both sides.
    points : int, default 41
        At least 2: at how many steps.
    samples : int, default 1024
        At least 1: how many samples are taken, from all over the data.
    batch_size : int, default 256
        Samples at a time.
    training : bool, default False
        Whether layers do what they do in training: batch normalization by each batch, dropout
        drawn once. Else the averages that were gathered stay as they are.
    seed : int, default 0
        Of a random direction.
    verbose : {"auto", 0, 1, 2}, default "auto"
        0 shows nothing while it works; else what takes a while is shown as `fit` shows it.

    Returns
    -------
    LossLine

    Raises
    ------
    ArgumentError
        For arguments out of range.
    ShapeError
        For a direction of other shapes.
    DataError, ShapeError, NotBuiltError, ArgumentError
        As `check_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.insight import loss_along_line
    >>> model = cr.Sequential([cr.Input((1,)), cr.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> line = loss_along_line(model, [[1.0]], [2.0], direction=[[[1.0]], [1.0]], points=5)
    >>> line.steps.tolist(), line.losses.tolist()
    ([-1.0, -0.5, 0.0, 0.5, 1.0], [16.0, 9.0, 4.0, 1.0, 0.0])

    Source
    ------
    Goodfellow, Vinyals and Saxe, "Qualitatively characterizing neural network optimization
    problems", arXiv 1412.6544, section 2; filter normalization: Li et al., "Visualizing the loss
    landscape of neural nets", arXiv 1712.09913, section 4.
    """
    steps = _steps(span, points)
    objective = _objective(
        "loss_along_line", (model, x, y, sample_weight), samples, batch_size, training
    )
    way = objective.vector(_direction(model, objective, direction, seed), "direction")
    losses = _losses(objective, (t * way for t in steps), verbose, len(steps))
    return LossLine(steps, losses, objective.split(way))


def loss_plane(
    model: Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    directions: tuple[Direction, Direction] = ("random", "random"),
    span: float | tuple[float, float] = 1.0,
    points: int = 21,
    samples: int = 256,
    batch_size: int = 256,
    training: bool = False,
    seed: int = 0,
    verbose: str | int = "auto",
) -> LossPlane:
    """``L(w + a d + b e)``: the loss over a plane through the weights; the model stays as it is.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t]; sample_weight : [n]

    Parameters
    ----------
    directions : pair, default ("random", "random")
        As `direction` of `loss_along_line`; two random ones differ.
    points : int, default 21
        At least 2: at how many steps each way, so many times itself in all.
    samples : int, default 256
        At least 1: how many samples are taken, from all over the data.
    model, x, y, sample_weight, span, batch_size, training, seed, verbose
        As in `loss_along_line`.

    Returns
    -------
    LossPlane

    Raises
    ------
    ArgumentError, ShapeError, DataError, NotBuiltError
        As `loss_along_line`.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule.insight import loss_plane
    >>> model = cr.Sequential([cr.Input((1,)), cr.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mse")
    >>> ways = [[[1.0]], [0.0]], [[[0.0]], [1.0]]
    >>> loss_plane(model, [[1.0]], [2.0], directions=ways, points=3).losses.tolist()
    [[16.0, 9.0, 4.0], [9.0, 4.0, 1.0], [4.0, 1.0, 0.0]]

    Source
    ------
    Li et al., "Visualizing the loss landscape of neural nets", arXiv 1712.09913, sections 3 and 4.
    """
    steps = _steps(span, points)
    objective = _objective(
        "loss_plane", (model, x, y, sample_weight), samples, batch_size, training
    )
    if isinstance(directions, str) or len(directions) != 2:
        raise ArgumentError("directions must be two, e.g. ('random', 'gradient')")
    found = [_direction(model, objective, d, seed + i) for i, d in enumerate(directions)]
    first, second = (objective.vector(way, "a direction") for way in found)
    moves = (a * first + b * second for a in steps for b in steps)
    losses = _losses(objective, moves, verbose, len(steps) ** 2).reshape(len(steps), -1)
    return LossPlane(steps, losses, objective.split(first), objective.split(second))


def _objective(
    call: str, what: tuple[Any, ...], samples: int, batch_size: int, training: bool
) -> Objective:
    count, size = whole("samples", samples), whole("batch_size", batch_size)
    model, x, y, weights = what
    return Objective(*given(call, model, x, y, weights, count), size, training)


def _losses(objective: Objective, moves: Iterable[Array], verbose: Any, count: int) -> Array:
    """Return the loss at each of so many places beside the weights."""
    losses = np.empty(count)
    with Progress(mode_of(verbose), title="loss", counted="places") as progress:
        progress.begin(0, count, 1)
        for i, move in enumerate(moves):
            losses[i] = objective.loss(objective.weights + move)
            progress.update(i + 1, {"loss": float(losses[i])})
    return losses


def _steps(span: Any, points: int) -> Array:
    """Return the places, among them exactly 0 where it is one."""
    ends = (-span, span) if np.ndim(span) == 0 else tuple(span)
    count = whole("points", points, 2)
    if len(ends) != 2 or not all(np.isfinite(ends)) or not ends[0] < ends[1]:
        raise ArgumentError(f"span is {span!r}; expected a number above 0, or two rising ones")
    return np.linspace(*ends, count)


def _direction(model: Model, objective: Objective, asked: Direction, seed: int) -> Sequence[Any]:
    if not isinstance(asked, str):
        return asked
    if asked == "random":
        return random_direction(objective.variables, owners_of(model), seed)
    if asked != "gradient":
        raise ArgumentError(f"direction is {asked!r}; expected 'random', 'gradient' or arrays")
    _, slope = objective.gradient(objective.weights)
    length = float(np.linalg.norm(slope))
    size = float(np.linalg.norm(objective.weights)) or 1.0
    return objective.split(-slope * (size / length if length else 0.0))


def _marks(values: Array, marks: str) -> str:
    """Return a mark for each value by its height; what is not finite as a question mark."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "?" * len(values)
    low, high = float(finite.min()), float(finite.max())
    scale = (len(marks) - 1) / (high - low) if high > low else 0.0
    return "".join(
        marks[round(float((v - low) * scale))] if np.isfinite(v) else "?" for v in values
    )


def _axes(path: Any) -> tuple[Any, Any]:
    try:
        from matplotlib import pyplot
        from matplotlib.figure import Figure
    except ImportError:
        raise missing_package("matplotlib", "a plot", "plot") from None
    figure = pyplot.figure(figsize=(6, 5)) if path is None else Figure(figsize=(6, 5))
    return figure, figure.add_subplot()


def _kept(figure: Any, axes: Any, path: Any) -> Any:
    figure.tight_layout()
    if path is not None:
        figure.savefig(path)
    return axes
