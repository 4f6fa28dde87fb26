"""Texts as indices of a vocabulary, or as how often each of its tokens occurs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Self

import numpy as np

from chainrule import dtypes
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, FileError, NotBuiltError, unknown_name
from chainrule.graph.symbol import is_symbolic
from chainrule.layers.base import Layer, Shape
from chainrule.layers.symbolic import connect
from chainrule.layers.text_tokens import Clean, Split, Texts, Tokens, objects, rows_of
from chainrule.layers.text_vocabulary import MASK, UNKNOWN, Vocabulary

_MODES = ("int", "multi_hot", "count", "tf_idf")
_OLD_NAMES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_CHUNK = 4096  # texts whose tokens are in memory at a time
_SHOWN = 100_000  # texts from which learning a vocabulary takes a second and shows how far it is


class TextVectorization(Layer):
    """Texts to indices of tokens, ``y[n, t] = vocabulary.index(token t of text n)``, or to a number
    for each token of the vocabulary.

    A text is cleaned, split into tokens, and these may be joined to n-grams. It runs on arrays in
    front of the step: on the data before `fit`, or as first layer of a `Sequential`, which then
    takes texts, and still does after it was saved and loaded.

    Shapes: x [n] or [n, 1] strings, y [n, t] int64, or [n, d] with a column for each token.

    Parameters
    ----------
    max_tokens : int, optional
        The largest vocabulary, those for padding and unknown tokens included: the most frequent
        tokens are kept.
    standardize : str, callable or None, default "lower_and_strip_punctuation"
        Also ``"lower"`` and ``"strip_punctuation"`` (what ASCII has of it). A function is given
        one text and returns one.
    split : str, callable or None, default "whitespace"
        Or ``"character"``, for languages without spaces; with None the texts are tokens, x of
        [n, t] or lists of them. A function is given one text and returns its tokens.
    ngrams : int, tuple of int or None, default None
        Sizes of n-grams, joined by a space; an integer means all sizes up to it.
    output_mode : {"int", "multi_hot", "count", "tf_idf"}, default "int"
        Indices; or for each token of the vocabulary whether it occurs, how often, or how often
        times how rare it is among texts.
    output_sequence_length : int, optional
        t, to which texts are cut and padded with 0 behind; by default the most tokens that a text
        has, at least 1. For ``"int"``.
    pad_to_max_tokens : bool, default False
        Whether d is `max_tokens` even where the vocabulary is smaller. Not for ``"int"``.
    vocabulary : sequence of str or path, optional
        Or a file with one token a line; else call `adapt`.
    idf_weights : sequence of float, optional
        How rare each token is, with `vocabulary` for ``"tf_idf"``.
    ragged : bool, default False
        Whether y is a list with an array of indices for each text, of its own length, for
        `chainrule.utils.bucket_by_length`. For ``"int"``.
    encoding : str, default "utf-8"
        Of texts that are bytes.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an argument outside its range.
    NotBuiltError
        When used without a vocabulary.
    DataError
        For what is no text.

    Examples
    --------
    >>> from chainrule.layers import TextVectorization
    >>> layer = TextVectorization(output_sequence_length=4)
    >>> layer.adapt(["foo bar", "bar baz", "baz bada boom"])
    >>> layer(["foo qux bar", "qux baz"]).tolist()
    [[4, 1, 3, 0], [1, 2, 0, 0]]
    >>> layer.get_vocabulary()[:4]
    ['', '[UNK]', 'baz', 'bar']

    Notes
    -----
    Names, arguments, order of the vocabulary (equally frequent tokens descending) and weights are
    those of Keras. Other than there, capitals and spaces outside ASCII are such, counts are of the
    layer's dtype, and functions are given one text at a time.
    """

    on_host = True

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: Clean = "lower_and_strip_punctuation",
        split: Split = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Sequence[str] | str | os.PathLike[str] | None = None,
        idf_weights: Sequence[float] | None = None,
        ragged: bool = False,
        encoding: str = "utf-8",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.output_mode = _OLD_NAMES.get(output_mode, output_mode)
        if self.output_mode not in _MODES:
            raise unknown_name("output_mode", output_mode, _MODES)
        self.tokens = Tokens.checked(standardize, split, ngrams, encoding)
        special = [MASK, UNKNOWN] if self.output_mode == "int" else [UNKNOWN]
        self.max_tokens = _whole("max_tokens", max_tokens, len(special) + 1)
        self.output_sequence_length = _whole("output_sequence_length", output_sequence_length, 1)
        self.pad_to_max_tokens, self.ragged = bool(pad_to_max_tokens), bool(ragged)
        self._check_mode()
        self._vocabulary = Vocabulary(special, self.max_tokens)
        self.built = True
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        elif idf_weights is not None:
            raise ArgumentError("idf_weights are those of a vocabulary: give both")

    def _check_mode(self) -> None:
        whole = self.output_mode == "int"
        if not whole and (self.output_sequence_length is not None or self.ragged):
            raise ArgumentError(
                "output_sequence_length and ragged are for output_mode='int', "
                f"not {self.output_mode!r}"
            )
        if self.pad_to_max_tokens and (whole or self.max_tokens is None):
            raise ArgumentError(
                "pad_to_max_tokens needs max_tokens, and another output_mode than 'int'"
            )

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Take the vocabulary from texts: the most frequent token first, equals descending.

        Parameters
        ----------
        data : array_like of str, or iterable of such
            Texts; or an iterable of texts, of batches of them, or of ``(texts, targets)``, which is
            gone through once.
        batch_size : int, default 4096
            Texts whose tokens are in memory at a time.
        steps : int, optional
            So many items of an iterable at most; needed for one that does not end.

        Raises
        ------
        DataError
            Where there is not one token.

        Examples
        --------
        >>> from chainrule.layers import TextVectorization
        >>> layer = TextVectorization(split="character")
        >>> layer.adapt(["你好", "你们好吗"])
        >>> layer(["好吗你"]).tolist()
        [[2, 4, 3]]
        """
        size = _whole("batch_size", batch_size, 1) or _CHUNK
        counts: Counter[str] = Counter()
        within: Counter[str] | None = Counter() if self.output_mode == "tf_idf" else None
        total = 0
        for rows in self._batches(data, size, _whole("steps", steps, 1)):
            counts.update(chain.from_iterable(rows))
            if within is not None:
                within.update(chain.from_iterable(map(set, rows)))
            total += len(rows)
        self._vocabulary.learn(counts, within, total)

    def _batches(self, data: Any, size: int, steps: int | None) -> Iterator[list[list[str]]]:
        """Yield the tokens of some texts at a time, and show how many were gone through."""
        from chainrule.data.iterables import is_array_like
        from chainrule.data.showing import advancing  # which imports layers

        if is_array_like(data):
            if steps is not None:
                raise ArgumentError("steps are for iterables of texts, not for arrays and lists")
            rows, total = self._stretches(data, size)
            shown = total >= _SHOWN
        else:
            items = islice(iter(data), steps)
            texts = chain.from_iterable(map(self._of_batch, items))
            rows, total, shown = _stretched(texts, size), None, True
        with advancing("learning the vocabulary", total, shown) as advance:
            for some in rows:
                yield some
                advance(len(some))

    def _stretches(self, data: Any, size: int) -> tuple[Iterator[list[list[str]]], int]:
        if self.tokens.split is None:
            rows, _ = self.tokens.rows(data)
            return _stretched(iter(rows), size), len(rows)
        flat = Texts.of(data, self.tokens.encoding).flat
        parts = (flat[i : i + size] for i in range(0, len(flat), size))
        return (self.tokens.of(part) for part in parts), len(flat)

    def _of_batch(self, batch: Any) -> list[list[str]]:
        """Return the tokens of a text or of several, of which a tuple may hold the targets too."""
        if isinstance(batch, tuple) and batch and not isinstance(batch[0], str | bytes):
            batch = batch[0]
        return self.tokens.rows(batch)[0]

    def set_vocabulary(
        self,
        vocabulary: Sequence[str] | str | os.PathLike[str],
        idf_weights: Sequence[float] | None = None,
    ) -> None:
        """Use these tokens, in this order, behind those for padding and unknown tokens, which they
        may begin with; of a path, the lines of the file.

        Raises
        ------
        ArgumentError
            For a token that occurs twice, an empty one, or more than `max_tokens`; for weights that
            are missing in mode ``"tf_idf"``, or are not as many as tokens.
        FileError
            For a file that cannot be read.
        """
        if (idf_weights is None) != (self.output_mode != "tf_idf"):
            raise ArgumentError("idf_weights are given with output_mode='tf_idf', and only then")
        self._vocabulary.give(vocabulary, idf_weights, self.tokens.encoding)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Return the tokens by index, without the special ones if so asked."""
        known = self._vocabulary
        if known.tokens is None:
            raise NotBuiltError(f"{self.label} has no vocabulary: call adapt(texts)")
        return [*(known.special if include_special_tokens else []), *known.tokens]

    def vocabulary_size(self) -> int:
        """Return the number of indices, those for padding and unknown tokens included."""
        return len(self.get_vocabulary())

    def detail(self) -> str:
        """Return the size of the vocabulary."""
        return "" if self._vocabulary.tokens is None else f"{self.vocabulary_size()} tokens"

    def raw(self, inputs: Any) -> Any:
        """Return texts as an array of objects, which takes no more memory than they do."""
        if self.ragged:
            raise ArgumentError(
                f"{self.label} gives rows of different lengths, which a model cannot take\n"
                "  fix: leave out ragged; or apply it before, and utils.bucket_by_length"
            )
        if self.tokens.split is None:
            rows, shape = rows_of(inputs, self.tokens.encoding)
            width = max(map(len, rows), default=1)
            flat = [token for row in rows for token in (*row, *[MASK] * (width - len(row)))]
            return objects(flat, (*shape, width))
        texts = Texts.of(inputs, self.tokens.encoding)
        return objects(texts.flat, texts.shape)

    def __call__(  # type: ignore[override]
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        """Return indices (int64) or numbers for texts: a string, a list, an array, a column."""
        if is_symbolic(inputs):
            return connect(self, inputs)  # which says why it cannot
        return self.call(inputs, training=bool(training))

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the encoded texts."""
        self.get_vocabulary()
        rows, shape = self.tokens.rows(x)
        if self.output_mode != "int":
            numbers = self._numbers(rows)
            return numbers.reshape(*shape, numbers.shape[1])
        limit = self.output_sequence_length
        rows = rows if limit is None else [row[:limit] for row in rows]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        flat = self._vocabulary.indices(rows, int(lengths.sum()))
        if self.ragged:
            return np.split(flat, np.cumsum(lengths)[:-1]) if len(rows) else []
        width = limit or max(int(lengths.max(initial=0)), 1)
        padded = np.zeros((len(rows), width), np.int64)
        padded[np.arange(width) < lengths[:, None]] = flat
        return padded.reshape(*shape, width)

    def _numbers(self, rows: list[list[str]]) -> Array:
        """Return a number for each token of the vocabulary."""
        size = self.vocabulary_size()
        width = self.max_tokens if self.pad_to_max_tokens and self.max_tokens else size
        out = np.zeros((len(rows), width), dtypes.floatx())
        for first in range(0, len(rows), 256):  # bincount makes 8 bytes a number
            some = [[token for token in row if token] for row in rows[first : first + 256]]
            lengths = np.fromiter(map(len, some), np.int64, len(some))
            cells = np.repeat(np.arange(len(some)) * size, lengths)
            cells += self._vocabulary.indices(some, int(lengths.sum()))
            counts = np.bincount(cells, minlength=len(some) * size).reshape(len(some), size)
            out[first : first + len(some), :size] = counts
        if self.output_mode == "multi_hot":
            np.minimum(out, 1, out=out)
        if self._vocabulary.rarity is not None:
            out[:, :size] *= self._vocabulary.rarity
        return out

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what it gives."""
        if self.output_mode == "int":
            return (input_shape[0], self.output_sequence_length)
        width = self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()
        return (input_shape[0], width)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, the vocabulary included."""
        known = self._vocabulary
        return {
            **super().get_config(),
            **self.tokens.get_config(),
            "max_tokens": self.max_tokens,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "ragged": self.ragged,
            "vocabulary": None if known.tokens is None else self.get_vocabulary(),
            "idf_weights": None if known.rarity is None else known.rarity.tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a layer with these arguments; no file is read."""
        if isinstance(config.get("vocabulary"), str):
            raise FileError("a file of a model must hold the vocabulary, not name another file")
        return cls(**config)


def _stretched(rows: Iterator[list[str]], size: int) -> Iterator[list[list[str]]]:
    while some := list(islice(rows, size)):
        yield some


def _whole(name: str, value: Any, least: int) -> int | None:
    """Return an argument that is a whole number of at least so many, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)
