"""The curvature of the loss: Hessian-vector products and the ends of the Hessian's spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError
from chainrule.insight.lanczos import lanczos
from chainrule.insight.objective import Objective
from chainrule.insight.posed import given
from chainrule.models.prepared import whole
from chainrule.training.progress import Progress, mode_of

if TYPE_CHECKING:
    from chainrule.models.model import Model


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """The ends of the Hessian's spectrum; printing it says what they mean.

    Attributes
    ----------
    largest : numpy.ndarray
        The k largest eigenvalues, the largest first.
    smallest : numpy.ndarray
        The k smallest, the smallest first: negative ones are directions in which the loss bends
        down.
    largest_vectors, smallest_vectors : list of list of numpy.ndarray
        Their eigenvectors of norm 1, each as arrays of the shapes of the trainable weights.
    residuals : numpy.ndarray
        ``||H v - lambda v||`` of the largest, then of the smallest.
    loss, gradient_norm : float
        Of the same samples, with the weights as they are.
    steps : int
        The Hessian-vector products that were computed.
    converged : bool
        Whether all residuals are within the tolerance.
    """

    largest: Array
    smallest: Array
    largest_vectors: list[list[Array]] = field(repr=False)
    smallest_vectors: list[list[Array]] = field(repr=False)
    residuals: Array
    loss: float
    gradient_norm: float
    steps: int
    converged: bool

    @property
    def stable_rate(self) -> float:
        """``2 / lambda_max``: gradient descent with a larger learning rate moves away along the
        steepest direction of a quadratic loss; infinite where nothing bends up."""
        top = float(self.largest[0])
        return 2.0 / top if top > 0 else float("inf")

    def __str__(self) -> str:
        lines = [
            f"largest  {_numbers(self.largest)}",
            f"smallest {_numbers(self.smallest)}",
            f"loss {self.loss:.6g}, norm of its gradient {self.gradient_norm:.4g}",
        ]
        if np.isfinite(self.stable_rate):
            lines.append(f"plain gradient descent is stable to a rate of {self.stable_rate:.3g}")
        if self.smallest[0] < -1e-3 * abs(self.largest[0]):
            lines.append("the loss bends down in some direction: this is no minimum")
        if not self.converged:
            lines.append(f"not settled after {self.steps} steps: ask for more")
        return "\n".join(lines)


def _numbers(values: Array) -> str:
    return "  ".join(f"{v:.6g}" for v in values)


def hessian_vector_product(
    model: Model,
    x: Any,
    y: Any,
    vector: Sequence[Any],
    sample_weight: Any = None,
    *,
    batch_size: int = 256,
    training: bool = True,
) -> list[Array]:
    """``H v = d(g . v)/dw``, with ``g = dL/dw``: exact, by differentiating twice, in float64.

    The loss is that of `fit`: the mean over the samples, with penalties and sample weights. What
    cannot be differentiated twice (the CTC loss) is measured by differences of the gradient. The
    model stays as it is.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t]; vector : one array of the shape of each trainable weight

    Parameters
    ----------
    model : Model
        Compiled.
    x, y, sample_weight
        As in `train_on_batch`.
    vector : sequence of array_like
        A direction, in the order of ``model.trainable_variables``.
    batch_size : int, default 256
        Samples at a time: the result is the mean over them.
    training : bool, default True
        Whether layers do what they do in training, with dropout drawn once and batch normalization
        over each `batch_size` samples; else what they do in evaluation.

    Returns
    -------
    list of numpy.ndarray
        Of the shapes of the trainable weights, float64.

    Raises
    ------
    ShapeError
        For a vector of other shapes.
    DataError, ShapeError, NotBuiltError, ArgumentError
        As `check_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.insight import hessian_vector_product
    >>> model = cr.Sequential([cr.Input((2,)), cr.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0]])  # H = 2/n x'x
    >>> hessian_vector_product(model, x, np.zeros(2), [np.ones((2, 1))])[0].ravel().tolist()
    [1.0, 4.0]

    Source
    ------
    Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6, 1994, equation 6,
    by the gradient of ``g . v``.
    """
    size = whole("batch_size", batch_size)
    trainer, batches = given("hessian_vector_product", model, x, y, sample_weight)
    objective = Objective(trainer, batches, size, training)
    return objective.split(objective.product(objective.weights, objective.vector(vector)))


def hessian_eigenvalues(
    model: Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    k: int = 1,
    steps: int = 80,
    tolerance: float = 1e-3,
    samples: int = 1024,
    batch_size: int = 256,
    training: bool = True,
    seed: int = 0,
    verbose: str | int = "auto",
) -> Eigenvalues:
    """``H v = lambda v``: the k largest and the k smallest eigenvalues of the loss's Hessian.

    By Lanczos's method, with all vectors kept orthogonal, on exact Hessian-vector products in
    float64. The model stays as it is.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t]; sample_weight : [n]

    Parameters
    ----------
    model : Model
        Compiled.
    x, y, sample_weight
        As in `train_on_batch`.
    k : int, default 1
        At least 1: how many eigenvalues of each end; no more than there are weights.
    steps : int, default 80
        At least 1: the most Hessian-vector products. Each keeps a vector as long as all weights
        in float64 until the end.
    tolerance : float, default 1e-3
        Above 0: it ends when all residuals are at most this share of the largest eigenvalue.
    samples : int, default 1024
        At least 1: how many samples are taken, from all over the data.
    batch_size, training
        See `hessian_vector_product`.
    seed : int, default 0
        Of the vector that it begins with.
    verbose : {"auto", 0, 1, 2}, default "auto"
        0 shows nothing while it works; else what takes a while is shown as `fit` shows it.

    Returns
    -------
    Eigenvalues

    Raises
    ------
    ArgumentError
        For arguments out of range.
    DataError
        Where the loss, or its curvature, is not finite at the weights as they are.
    DataError, ShapeError, NotBuiltError, ArgumentError
        As `check_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> from chainrule.insight import hessian_eigenvalues
    >>> model = cr.Sequential([cr.Input((2,)), cr.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> x = np.array([[1.0, 0.0], [0.0, 2.0]])
    >>> found = hessian_eigenvalues(model, x, np.zeros(2))
    >>> found.largest.round(6).tolist(), found.smallest.round(6).tolist()
    ([4.0], [1.0])

    Source
    ------
    Lanczos, "An iteration method for the solution of the eigenvalue problem of linear differential
    and integral operators", 1950; full reorthogonalization as in Golub and Van Loan, "Matrix
    Computations", 4th edition, section 10.3.5.
    """
    wanted, most = whole("k", k), whole("steps", steps)
    count, size = whole("samples", samples), whole("batch_size", batch_size)
    if not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance is {tolerance!r}; expected a number between 0 and 1")
    trainer, batches = given("hessian_eigenvalues", model, x, y, sample_weight, count)
    objective = Objective(trainer, batches, size, training)
    if wanted > objective.size:
        raise ArgumentError(f"k is {wanted}, but there are {objective.size} weights")
    most = min(max(most, 2 * wanted), objective.size)
    with Progress(mode_of(verbose), title="curvature", counted="products") as progress:
        return spectrum(objective, wanted, most, tolerance, seed, progress)


def _finite(what: str, found: Any) -> None:
    """Raise a `DataError` where something is not finite."""
    if not np.isfinite(found).all():
        raise DataError(
            f"the {what} is not finite at these weights\n"
            "  fix: take weights from before the loss became so, and a lower learning rate"
        )


def spectrum(
    objective: Objective,
    k: int,
    steps: int,
    tolerance: float = 1e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> Eigenvalues:
    """Return both ends of the spectrum of an objective at the weights as they are.

    Raises
    ------
    DataError
        Where the loss, its gradient or its curvature is not finite there.
    """
    weights, done = objective.weights, 0
    loss, slope = objective.gradient(weights)
    _finite("loss", loss)
    _finite("gradient of the loss", slope)
    shown = progress or Progress(0)
    shown.begin(0, steps, 1)

    def product(way: Array) -> Array:
        nonlocal done
        found, done = objective.product(weights, way), done + 1
        shown.update(done, {})
        _finite("curvature of the loss", found)
        return found

    found = lanczos(product, objective.size, k, steps, tolerance, seed)
    top, low = range(len(found.values) - 1, len(found.values) - 1 - k, -1), range(k)
    residuals = found.residuals[[*top, *low]]
    limit = tolerance * float(np.abs(found.values).max())
    return Eigenvalues(
        found.values[list(top)],
        found.values[list(low)],
        [objective.split(v) for v in found.vectors[: -k - 1 : -1]],
        [objective.split(v) for v in found.vectors[:k]],
        residuals,
        loss,
        float(np.linalg.norm(slope)),
        found.steps,
        bool(residuals.max() <= limit),
    )
