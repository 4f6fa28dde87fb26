"""Paths that are given as arguments."""

from __future__ import annotations

import os
from pathlib import Path

from chainrule.errors import ArgumentError


def path_of(name: str, given: object) -> Path:
    """Return an argument that must be the path of a file or folder.

    Raises
    ------
    ArgumentError
        For anything else.

    Examples
    --------
    >>> from chainrule.paths import path_of
    >>> path_of("folder", "runs").name
    'runs'
    """
    if not isinstance(given, str | os.PathLike):
        raise ArgumentError(f"{name} is {str(given)[:40]}; expected a path")
    return Path(given)
