"""Reading a data file of the package, refused when it is not the file that was shipped."""

import hashlib
import io
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError


def load_arrays(name: str, sha256: str) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of the shipped archive ``name``, freshly allocated."""
    content = _checked(name, files(__package__).joinpath(name).read_bytes(), sha256)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _checked(name: str, content: bytes, sha256: str) -> bytes:
    """Return ``content`` when its SHA-256 is the expected one."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"the data file '{name}' of the chainrule package is damaged: "
            f"its SHA-256 is {found[:16]}..., expected {sha256[:16]}...\n"
            "  fix    : install chainrule again"
        )
    return content
