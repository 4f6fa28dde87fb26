"""Data sets that ship with chainrule, or are found on the machine or fetched.

``SOURCES.md`` beside this file says where each is from.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import digits

if TYPE_CHECKING:
    from . import cifar10, fashion_mnist, mnist, movie_reviews, spoken_digits

__all__ = ["cifar10", "digits", "fashion_mnist", "mnist", "movie_reviews", "spoken_digits"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # when it is asked for: reading files takes more to import than digits do
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
