"""Vectors of words from text files: those of GloVe, word2vec and fastText."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.showing import Advance, advancing
from chainrule.errors import ArgumentError, FileError

Vectors = tuple[NDArray[np.float32], NDArray[np.bool_]]

_SHOWN = 64 << 20  # bytes of a file that takes seconds to read, and shows how far it is
_TOLD = 60  # characters of a line that an error shows


def load_vectors(
    path: str | os.PathLike[str], vocabulary: Any, dimensions: int | None = None
) -> Vectors:
    """``matrix[i]`` is the vector that a file has for word i of a vocabulary, zeros if it has none.

    The file is read line by line, ``word 0.1 -0.2 ...``, with or without a first line that says how
    many vectors there are of which size: the formats of GloVe, word2vec (text) and fastText
    (``.vec``), plain or as ``.gz``. Only what is needed is kept. Of a word that occurs twice
    the first vector counts.

    Shapes
    ------
    returned : matrix [n, d] float32, found [n] bool

    Parameters
    ----------
    path : str or path
    vocabulary : sequence of str, or a layer with ``get_vocabulary``
        The words by index, as of `TextVectorization`; padding and unknown words have none.
    dimensions : int, optional
        d, by default what the first line tells.

    Returns
    -------
    matrix, found
        For ``Embedding(len(matrix), d, weights=[matrix])``; and which words have a vector.

    Raises
    ------
    FileError
        For a file that is missing, cut, or holds a line that is no vector, with its number.
    ArgumentError
        For a vocabulary that is no sequence of words.

    Examples
    --------
    >>> from pathlib import Path
    >>> from chainrule.utils import load_vectors
    >>> _ = Path("small.vec").write_text("2 3\\nfilm 0.5 0 1\\ngood 1 2 3\\n")
    >>> matrix, found = load_vectors("small.vec", ["", "[UNK]", "good", "bad"])
    >>> matrix.tolist()[2], found.tolist()
    ([1.0, 2.0, 3.0], [False, False, True, False])
    """
    words = _words(vocabulary)
    wanted: dict[bytes, list[int]] = {}
    for i, text in enumerate(words):
        wanted.setdefault(text.encode("utf-8", "surrogatepass"), []).append(i)
    with _opened(Path(path)) as (file, advance):
        lines = _Lines(file, os.fspath(path), dimensions, advance)
        matrix = np.zeros((len(words), lines.width), np.float32)
        found = np.zeros(len(words), bool)
        left = set(wanted)
        for word, vector in lines.of(left):
            left.discard(word)
            rows = wanted[word]
            matrix[rows], found[rows] = vector, True
    return matrix, found


def _words(vocabulary: Any) -> list[str]:
    known = getattr(vocabulary, "get_vocabulary", None)
    given: Iterable[Any] = known() if known is not None else vocabulary
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentError(f"vocabulary is a sequence of words, not {type(given).__name__}")
    words = list(given)
    strange = [word for word in words if not isinstance(word, str)]
    if strange or not words:
        what = repr(strange[0]) if strange else "nothing"
        raise ArgumentError(f"vocabulary is a sequence of words, but holds {what}")
    return [str(word) for word in words]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], Advance]]:
    """Open a file, unpacked where it is packed; show how much of it was read."""
    try:
        with open(path, "rb") as raw, _unpacked(raw) as file:
            size = os.fstat(raw.fileno()).st_size
            with advancing(f"reading {path.name}", size, size > _SHOWN, size=True) as advance:
                at = 0

                def advanced(_: int) -> None:
                    nonlocal at
                    advance(raw.tell() - at)
                    at = raw.tell()

                yield file, advanced
    except FileNotFoundError:
        raise FileError(f"there is no file {str(path)!r}") from None
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"cannot read {str(path)!r}: {error}") from None


@contextmanager
def _unpacked(raw: IO[bytes]) -> Iterator[IO[bytes]]:
    packed = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    if packed:
        with gzip.GzipFile(fileobj=raw) as file:
            yield file  # type: ignore[misc]
    else:
        yield raw


class _Lines:
    """The lines of a file of vectors, whose `width` the first of them tell."""

    def __init__(
        self, file: IO[bytes], name: str, dimensions: int | None, advance: Advance
    ) -> None:
        self._file, self._name, self._advance = file, name, advance
        self._count: int | None = None  # of vectors, as the first line says
        self._number = 0
        first = self._next().split()
        if len(first) == 2 and first[0].isdigit() and first[1].isdigit():
            self._count, self.width, self._held = int(first[0]), int(first[1]), b""
        else:
            self.width, self._held = len(first) - 1, b" ".join(first)
        if dimensions is not None and self._count is None and 0 < dimensions < self.width:
            self.width = dimensions  # the first word holds spaces
        if self.width < 1 or (dimensions is not None and dimensions != self.width):
            raise self._error(f"vectors are of {max(self.width, 0)} numbers", first, dimensions)

    def _next(self) -> bytes:
        self._number += 1
        line = self._file.readline()
        if self._number % 4096 == 0:
            self._advance(0)
        return line

    def of(self, left: set[bytes]) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Yield the words that are among those left, with their vectors, until none is."""
        number = 0
        line = self._held or self._next()
        while line and left:
            number += 1
            # Trailing spaces are common; words may hold spaces, and other white space too.
            word = line.rstrip(b" \r\n")
            if word.count(b" ") < self.width:
                if not word.strip():
                    raise self._error("it is empty", [])
                raise self._error(f"it has not {self.width} numbers behind a word", word.split())
            if word[: word.index(b" ")] in left or word.count(b" ") > self.width:
                parts = word.rsplit(b" ", self.width)
                if parts[0] in left:
                    yield parts[0], self._vector(parts)
            line = self._next()
        if not line and self._count is not None and number < self._count:
            raise FileError(
                f"{self._name!r} ends after {number:,} vectors, but its first line says "
                f"{self._count:,}: it is cut off"
            )

    def _vector(self, parts: list[bytes]) -> NDArray[np.float32]:
        try:
            vector = np.array([float(part) for part in parts[1:]], np.float32)
        except ValueError:
            raise self._error("it holds what is no number", parts) from None
        if not np.isfinite(vector).all():
            raise self._error("it holds what is no finite number", parts)
        return vector

    def _error(self, why: str, parts: list[bytes], asked: int | None = None) -> FileError:
        shown = b" ".join(parts).decode("utf-8", "replace")
        shown = shown if len(shown) <= _TOLD else shown[:_TOLD] + "..."
        lines = [f"{self._name!r}, line {self._number}: {why}"]
        if asked is not None:
            lines[0] += f", but dimensions={asked}"
        lines.append(f"  line : {shown!r}")
        if "\0" in shown or "\ufffd" in shown:
            lines.append("  fix  : it looks binary; save the vectors as text")
        return FileError("\n".join(lines))
