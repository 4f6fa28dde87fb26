"""What can go wrong: every mistake of the user is a subclass of `ChainruleError`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ChainruleError(Exception):
    """Root of all errors raised for a mistake of the user."""


class ShapeError(ChainruleError, ValueError):
    """Arrays whose shapes do not fit each other, or do not fit the model."""


class DTypeError(ChainruleError, TypeError):
    """Arrays of a dtype that the operation does not take."""


class DataError(ChainruleError, ValueError):
    """Values in the data that cannot be trained on: NaN, labels out of range, unequal lengths."""


class ArgumentError(ChainruleError, ValueError):
    """An argument outside its range, or a name that does not exist."""


class GraphError(ChainruleError, RuntimeError):
    """A graph that cannot be differentiated, planned or run."""


class MemoryLimitError(ChainruleError, MemoryError):
    """A limit of memory that no plan of the step keeps to."""


class MissingMethodError(GraphError, NotImplementedError):
    """A method that a class of the user's has to write, and does not."""


class NotBuiltError(ChainruleError, RuntimeError, ValueError):
    """A model or layer used before its weights exist, or before `compile`."""


class FileError(ChainruleError, OSError):
    """A file that is missing, damaged or of another format."""


class ImageError(DataError, FileError):
    """An image file that is missing, damaged, too large or no image at all."""


class AudioError(DataError, FileError):
    """A sound file that is missing, cut short, damaged, empty or no sound at all."""


class MissingDependencyError(ChainruleError, ImportError):
    """An optional package that the call needs and that is not installed."""


class ChainruleWarning(UserWarning):
    """Root of all warnings: what may be meant as it is, but most likely is not."""


class DataWarning(ChainruleWarning):
    """Data that is passed over, or that nothing can be learnt from."""


class InitializationWarning(ChainruleWarning):
    """A network that will hardly learn with the weights it starts from."""


def closest(name: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the choice nearest to `name`, else ``""``."""
    near = difflib.get_close_matches(str(name), list(choices), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> ArgumentError:
    """Return the error for a name that is not among the choices, naming the nearest."""
    names = sorted(choices)
    return ArgumentError(
        f"unknown {kind} {name!r}{closest(str(name), names)}\n  known: {', '.join(names)}"
    )


def missing_package(package: str, purpose: str, extra: str) -> MissingDependencyError:
    """Return the one-line error for an optional package, with the command that mends it."""
    return MissingDependencyError(
        f"{purpose} needs the package {package!r}: pip install 'chainrule[{extra}]'"
    )
