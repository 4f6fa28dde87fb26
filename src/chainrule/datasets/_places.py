"""Where data sets lie: the cache, and what is fetched into it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Remote:
    """A file to be had from any of these addresses, its bytes and their SHA-256."""

    name: str
    size: int
    sha256: str
    urls: tuple[str, ...]


def home() -> Path:
    """Return the folder of what chainrule keeps: ``CHAINRULE_HOME``, else in the user's cache."""
    if chosen := os.environ.get("CHAINRULE_HOME"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "chainrule"


def cache(name: str) -> Path:
    """Return the folder of a data set in the cache, which need not exist."""
    return home() / "datasets" / name


def keras_home() -> Path:
    """Return the folder where Keras keeps its data sets."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"
