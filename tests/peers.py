"""The frameworks that results are compared with; tests that need one are skipped without it."""

from __future__ import annotations

import os
import warnings
from types import ModuleType

import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def peer(name: str) -> ModuleType:
    """Import a framework; its own warnings on the way are not this package's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)
