"""The frameworks that results are compared with; tests that need one are skipped without it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from chainrule import layers

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def peer(name: str) -> ModuleType:
    """Import a framework; its own warnings on the way are not this package's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)


def sharing(mine: Any, theirs: Any, weights: list[np.ndarray]) -> tuple[Any, Any]:
    """Our layer and Keras's, both built, with the same weights; names and shapes must agree."""
    assert [w.shape for w in mine.get_weights()] == [w.shape for w in theirs.get_weights()]
    names = [v.name.split(".")[-1] for v in mine.variables]
    assert names == [v.name for v in theirs.weights]
    mine.set_weights(weights)
    theirs.set_weights(weights)
    return mine, theirs


def both(
    name: str,
    arguments: dict[str, Any],
    shape: tuple[int, ...],
    draw: Callable[[Any], list[np.ndarray]],
) -> tuple[Any, Any]:
    """Our layer and Keras's for batches of a shape, with the weights that `draw` gives for ours."""
    mine = getattr(layers, name)(**arguments)
    theirs = getattr(peer("keras").layers, name)(**arguments)
    mine.build_for((None, *shape[1:]))
    theirs.build((None, *shape[1:]))
    return sharing(mine, theirs, draw(mine))
