"""The ends of the spectrum of a symmetric matrix that is known by its products alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.dtypes import Array

Product = Callable[[Array], Array]

_NOTHING = 1e-13  # of the largest eigenvalue: what is left of a vector after all others are taken


@dataclass(frozen=True)
class Spectrum:
    """Ritz values in rising order, the norms of ``A v - theta v``, and the vectors (rows) of the
    smallest and of the largest, as many of each as were asked for, in rising order too."""

    values: Array
    vectors: Array
    residuals: Array
    steps: int


def lanczos(
    product: Product, size: int, ends: int, steps: int, tolerance: float, seed: int = 0
) -> Spectrum:
    """Return the `ends` smallest and largest eigenvalues of a matrix of this size.

    Every new vector is made orthogonal to all before, twice, so that no eigenvalue comes back as a
    ghost. Where the vectors span a space that the matrix does not lead out of, another random one
    goes on, so that equal eigenvalues are found as often as they are there.
    """
    rng = np.random.default_rng(seed)
    most = min(steps, size)
    basis = np.empty((most, size))
    diagonal, beside = np.zeros(most), np.zeros(most)
    vector = _unit(rng.standard_normal(size))
    for j in range(most):
        basis[j] = vector
        found = product(vector)
        diagonal[j] = found @ vector
        found = _cleared(found, basis[: j + 1])
        beside[j] = np.linalg.norm(found)
        scale = np.abs(diagonal[: j + 1]).max() + beside[: j + 1].max()
        last = j + 1 == most
        if beside[j] <= _NOTHING * scale:
            beside[j] = 0.0
            found = found if last else _cleared(rng.standard_normal(size), basis[: j + 1])
        elif not last and j + 1 >= 2 * ends and j % 4 == 0:
            values, rows = _ritz(diagonal, beside, j + 1)
            if _settled(values, beside[j] * np.abs(rows[-1]), ends, tolerance):
                return _spectrum(values, rows, ends, float(beside[j]), basis[: j + 1])
        vector = _unit(found)
    values, rows = _ritz(diagonal, beside, most)
    return _spectrum(values, rows, ends, 0.0 if most == size else float(beside[most - 1]), basis)


def _unit(vector: Array) -> Array:
    length = float(np.linalg.norm(vector))
    found: Array = vector / length if length else vector
    return found


def _cleared(vector: Array, basis: Array) -> Array:
    """Return what of a vector is orthogonal to the basis."""
    for _ in range(2):
        vector = vector - basis.T @ (basis @ vector)
    return vector


def _ritz(diagonal: Array, beside: Array, count: int) -> tuple[Array, Array]:
    """Return eigenvalues and eigenvectors (columns) of the tridiagonal matrix."""
    off = beside[: count - 1]
    matrix = np.diag(diagonal[:count]) + np.diag(off, 1) + np.diag(off, -1)
    values, rows = np.linalg.eigh(matrix)
    return values, rows


def _settled(values: Array, residuals: Array, ends: int, tolerance: float) -> bool:
    wanted = np.r_[residuals[:ends], residuals[-ends:]]
    return bool(wanted.max() <= tolerance * np.abs(values).max())


def _spectrum(values: Array, rows: Array, ends: int, left: float, basis: Array) -> Spectrum:
    # Only these of the vectors: each is as long as all weights.
    kept = np.r_[: min(ends, len(values)), max(len(values) - ends, 0) : len(values)]
    return Spectrum(values, rows[:, kept].T @ basis, left * np.abs(rows[-1]), len(values))
