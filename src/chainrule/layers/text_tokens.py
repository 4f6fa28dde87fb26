"""From texts to tokens: what users pass as texts, cleaned, split, joined to n-grams."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, DataError, FileError, ShapeError, unknown_name
from chainrule.named import custom, registered_name

Clean = str | Callable[[str], Any] | None
Split = str | Callable[[str], Any] | None

_GONE = str.maketrans("", "", string.punctuation)
_CLEANERS: dict[str, Callable[[str], str]] = {
    "lower_and_strip_punctuation": lambda text: text.lower().translate(_GONE),
    "lower": str.lower,
    "strip_punctuation": lambda text: text.translate(_GONE),
}
_SPLITTERS: dict[str, Callable[[str], list[str]]] = {"whitespace": str.split, "character": list}


@dataclass(frozen=True)
class Texts:
    """Texts one after the other, and the shape that they were given in."""

    flat: list[str]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, data: Any, encoding: str = "utf-8") -> Texts:
        """Return the texts in a string, list, array, or column of a table.

        Raises
        ------
        DataError
            For what is no text, e.g. a missing value; it says which.
        """
        if isinstance(data, str | bytes):
            return cls(_strings([data], encoding), ())
        if not isinstance(data, list | tuple):
            array = _array(data)
            return cls(_strings(array.ravel().tolist(), encoding), array.shape)
        if not any(isinstance(part, list | tuple | np.ndarray) for part in data):
            return cls(_strings(list(data), encoding), (len(data),))
        parts = [cls.of(part, encoding) for part in data]
        shapes = {part.shape for part in parts}
        if len(shapes) > 1:
            raise DataError(f"rows of texts have different shapes: {sorted(shapes)[:3]}")
        return cls(list(chain.from_iterable(p.flat for p in parts)), (len(parts), *shapes.pop()))


def rows_of(data: Any, encoding: str) -> tuple[list[list[str]], tuple[int, ...]]:
    """Return texts that are tokens already in rows, which lists may have of different lengths, and
    the shape in front of the last axis."""
    nested = isinstance(data, list | tuple) and len(data) > 0
    if nested and all(isinstance(row, list | tuple) for row in data):
        rows = [Texts.of(row, encoding) for row in data]
        if all(len(row.shape) == 1 for row in rows):
            return [row.flat for row in rows], (len(rows),)
    texts = Texts.of(data, encoding)
    if len(texts.shape) < 2:
        return [[text] for text in texts.flat], texts.shape
    width = texts.shape[-1]
    count = int(np.prod(texts.shape[:-1]))
    return [texts.flat[i * width : (i + 1) * width] for i in range(count)], texts.shape[:-1]


def objects(flat: list[str], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return texts as an array of objects, which takes no more memory than they do."""
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(shape)


def _array(data: Any) -> np.ndarray[Any, Any]:
    if not isinstance(data, np.ndarray) and hasattr(data, "to_numpy"):
        data = data.to_numpy()  # columns of tables: NumPy may make other things of them
    array = np.asarray(data)
    if array.dtype == object and array.shape == () and array.item() is not None:
        raise DataError(f"expected texts in a list or an array, not {type(data).__name__}")
    return array


def _strings(given: list[Any], encoding: str) -> list[str]:
    """Return the texts as plain strings."""
    if set(map(type, given)) <= {str}:
        return given
    return [_string(text, number, encoding) for number, text in enumerate(given)]


def _string(text: Any, number: int, encoding: str) -> str:
    if isinstance(text, str):
        return str(text)
    if isinstance(text, bytes):
        try:
            return text.decode(encoding)
        except UnicodeDecodeError as error:
            raise DataError(f"text {number} is not {encoding}: {error}") from None
    nan = isinstance(text, float) and text != text
    missing = text is None or nan or type(text).__name__ in ("NAType", "NaTType")
    fix = "\n  fix: leave out what is missing, or make it the empty string" if missing else ""
    raise DataError(f"text {number} is {text!r}, of type {type(text).__name__}, no string{fix}")


@dataclass(frozen=True)
class Tokens:
    """What tokens are: how texts are cleaned and split, and which n-grams are made of the parts."""

    standardize: Clean
    split: Split
    ngrams: tuple[int, ...] | None
    encoding: str

    @classmethod
    def checked(cls, standardize: Clean, split: Split, ngrams: Any, encoding: str) -> Tokens:
        """Return the rules for arguments as users give them."""
        clean = _found("standardize", standardize, _CLEANERS)
        return cls(clean, _found("split", split, _SPLITTERS), _widths(ngrams), encoding)

    def rows(self, data: Any) -> tuple[list[list[str]], tuple[int, ...]]:
        """Return the tokens of each text, and the shape that the texts were given in.

        Raises
        ------
        ShapeError
            For texts in rows of several, where they are to be split.
        """
        if self.split is None:
            rows, shape = rows_of(data, self.encoding)
            clean = _function(self.standardize, _CLEANERS)
            cleaned = rows if clean is None else [[_one(clean(t)) for t in row] for row in rows]
            return self._joined(cleaned), shape
        texts = Texts.of(data, self.encoding)
        shape = texts.shape
        if len(shape) > 1:
            if shape[-1] != 1:
                raise ShapeError(
                    f"texts to be split are [n] or [n, 1], not {list(shape)}\n"
                    "  fix: give one column of texts, or split=None for texts that are tokens"
                )
            shape = shape[:-1]
        return self.of(texts.flat), shape

    def of(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each text."""
        clean, split = _function(self.standardize, _CLEANERS), _function(self.split, _SPLITTERS)
        own = callable(self.standardize)
        if clean is not None:
            texts = [_one(clean(t)) for t in texts] if own else list(map(clean, texts))
        if split is None:
            return self._joined([[text] for text in texts])
        rows = [_many(split(t)) for t in texts] if callable(self.split) else list(map(split, texts))
        return self._joined(rows)

    def _joined(self, rows: list[list[str]]) -> list[list[str]]:
        return rows if self.ngrams is None else [_ngrams(row, self.ngrams) for row in rows]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data.

        Raises
        ------
        FileError
            For functions that no file can name.
        """
        return {
            "standardize": _name("standardize", self.standardize),
            "split": _name("split", self.split),
            "ngrams": None if self.ngrams is None else list(self.ngrams),
            "encoding": self.encoding,
        }


def _ngrams(words: list[str], widths: Iterable[int]) -> list[str]:
    """Return the n-grams of each width in turn, their words joined by a space."""
    found: list[str] = []
    for n in widths:
        found += words if n == 1 else map(" ".join, zip(*(words[i:] for i in range(n))))  # noqa: B905
    return found


def _found(argument: str, given: Any, known: dict[str, Any]) -> Any:
    """Return a name that is known, a function, or None; functions may be named as in files."""
    if given is None or callable(given):
        return given
    if isinstance(given, str) and given in known:
        return given
    if isinstance(given, str) and callable(custom(given)):
        return custom(given)
    raise unknown_name(argument, given, known)


def _function(given: Any, known: dict[str, Any]) -> Any:
    return known[given] if isinstance(given, str) else given


def _name(argument: str, given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given
    name = registered_name(given)
    if custom(name) is not given:
        raise FileError(
            f"{argument} is code of your own, {name!r}, which a file cannot hold\n"
            "  fix: mark it with @chainrule.saving.register_keras_serializable(), here and in the "
            "program that loads the file"
        )
    return name


def _widths(ngrams: Any) -> tuple[int, ...] | None:
    if ngrams is None:
        return None
    whole = isinstance(ngrams, int) and not isinstance(ngrams, bool)
    widths = tuple(range(1, ngrams + 1)) if whole else ngrams
    if not isinstance(widths, list | tuple) or not widths or not all(_is_width(n) for n in widths):
        raise ArgumentError(
            f"ngrams is {ngrams!r}; expected a whole number of at least 1, a tuple of such, or None"
        )
    return tuple(widths)


def _is_width(n: Any) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n > 0


def _one(made: Any) -> str:
    """Return what a function of the user's made of a text, which must be a text."""
    made = made.item() if isinstance(made, np.ndarray) and made.ndim == 0 else made
    if not isinstance(made, str):
        raise DataError(f"standardize returned {type(made).__name__} for a text; expected a string")
    return str(made)


def _many(made: Any) -> list[str]:
    """Return what a function of the user's split a text into, which must be texts."""
    made = made.item() if isinstance(made, np.ndarray) and made.ndim == 0 else made
    if isinstance(made, str | bytes) or not isinstance(made, Iterable):
        raise DataError(f"split returned {type(made).__name__} for a text; expected a list of str")
    parts = list(made)
    if not all(isinstance(part, str) for part in parts):
        raise DataError(f"split returned {parts[:5]!r} for a text; expected a list of str")
    return [str(part) for part in parts]
