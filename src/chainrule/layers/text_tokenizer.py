"""Tokenizers of the package ``tokenizers``: subwords, learnt or loaded, as first layer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, FileError, missing_package
from chainrule.graph.symbol import is_symbolic
from chainrule.layers.base import Layer, Shape
from chainrule.layers.symbolic import connect
from chainrule.layers.text_tokens import Texts, objects

_PADDING = ("[PAD]", "<pad>", "<PAD>", "<|pad|>", "<|padding|>")
_CHUNK = 4096  # texts that are encoded at a time


class Tokenizer(Layer):
    """``y[n, t]``: texts as indices of the subwords that a tokenizer makes of them.

    The tokenizer is one of the package ``tokenizers``, as many pretrained models come with in a
    ``tokenizer.json``; or `train` learns one. Like `TextVectorization` it runs on arrays in front
    of the step, and a saved model holds it.

    Shapes: x [n] or [n, 1] strings, y [n, t] int64.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer, str or path
        Or the path of its JSON file, or the JSON itself.
    output_sequence_length : int, optional
        t, to which texts are cut and padded behind; by default that of the longest, at least 1.
    add_special_tokens : bool, default True
        Whether the tokenizer puts its marks around a text, such as ``[CLS]`` and ``[SEP]``.
    shift : bool, default False
        Whether indices are one more than the tokenizer's, which leaves 0 for padding
        (``mask_zero``): for tokenizers without a token for padding.
    ragged : bool, default False
        Whether y is a list with an array of indices for each text, of its own length.
    **options
        See `Layer`.

    Raises
    ------
    MissingDependencyError
        Without the package ``tokenizers``.
    FileError
        For a file that is no tokenizer.
    ArgumentError
        For a tokenizer without a token for padding, unless `shift` is given.

    Examples
    --------
    >>> from chainrule.layers import Tokenizer
    >>> layer = Tokenizer.train(["a warm film", "a warmer film"], vocab_size=40)
    >>> layer.decode(layer(["a warm film"]))
    ['a warm film']
    """

    on_host = True

    def __init__(
        self,
        tokenizer: Any,
        output_sequence_length: int | None = None,
        add_special_tokens: bool = True,
        shift: bool = False,
        ragged: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if output_sequence_length is not None and (
            not isinstance(output_sequence_length, int) or output_sequence_length < 1
        ):
            raise ArgumentError(
                f"output_sequence_length is {output_sequence_length!r}; expected at least 1"
            )
        self.output_sequence_length = output_sequence_length
        self.add_special_tokens, self.shift = bool(add_special_tokens), bool(shift)
        self.ragged = bool(ragged)
        self.tokenizer = _loaded(tokenizer)
        self.tokenizer.no_padding()
        if output_sequence_length is None:
            self.tokenizer.no_truncation()
        else:
            self.tokenizer.enable_truncation(output_sequence_length)
        self.padding = self._padding()
        self.built = True

    def _padding(self) -> int:
        """Return the index that fills up what is shorter."""
        if self.shift:
            return 0
        for token in _PADDING:
            number = self.tokenizer.token_to_id(token)
            if number is not None:
                return int(number)
        raise ArgumentError(
            "the tokenizer has no token for padding, as [PAD] or <pad>\n"
            "  fix: give shift=True, for indices from 1 on and padding 0; or add_special_tokens to "
            "the tokenizer"
        )

    @classmethod
    def train(
        cls,
        texts: Any,
        vocab_size: int = 8000,
        lowercase: bool = True,
        **options: Any,
    ) -> Self:
        """Return a tokenizer learnt from texts, whose indices 0 and 1 are padding and unknown.

        Subwords are pairs of such that follow each other most often (byte-pair encoding).

        Parameters
        ----------
        texts : array_like of str, or iterable of such
        vocab_size : int, default 8000
            Subwords at most; single letters are not left out.
        lowercase : bool, default True
        **options
            See `Tokenizer`.

        Raises
        ------
        DataError
            Where there is no text.

        Source: Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword
        units", ACL 2016, algorithm 1.

        Examples
        --------
        >>> from chainrule.layers import Tokenizer
        >>> Tokenizer.train(["ab ab", "abc"], vocab_size=30).get_vocabulary()[:2]
        ['[PAD]', '[UNK]']
        """
        return cls(_trained(texts, vocab_size, lowercase), **options)

    def get_vocabulary(self) -> list[str]:
        """Return the subwords by index."""
        found = [""] * self.vocabulary_size()
        for token, number in self.tokenizer.get_vocab(with_added_tokens=True).items():
            found[number + self.shift] = token
        return found

    def vocabulary_size(self) -> int:
        """Return the number of indices."""
        numbers = self.tokenizer.get_vocab(with_added_tokens=True).values()
        return int(max(numbers, default=-1)) + 1 + self.shift

    def decode(self, indices: Any) -> list[str]:
        """Return texts for rows of indices; padding and marks are left out."""
        rows = indices if isinstance(indices, list | tuple) else np.atleast_2d(indices)
        shift = int(self.shift)
        kept = [[int(i) - shift for i in row if i != self.padding] for row in rows]
        found: list[str] = self.tokenizer.decode_batch(kept)
        return found

    def detail(self) -> str:
        """Return the size of the vocabulary."""
        return f"{self.vocabulary_size()} tokens"

    def raw(self, inputs: Any) -> Any:
        """Return texts as an array of objects, which takes no more memory than they do."""
        if self.ragged:
            raise ArgumentError(
                f"{self.label} gives rows of different lengths, which a model cannot take\n"
                "  fix: leave out ragged; or apply it before, and utils.bucket_by_length"
            )
        texts = Texts.of(inputs)
        return objects(texts.flat, texts.shape)

    def __call__(  # type: ignore[override]
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        """Return indices (int64) for texts: a string, a list, an array, a column of a table."""
        if is_symbolic(inputs):
            return connect(self, inputs)  # which says why it cannot
        return self.call(inputs, training=bool(training))

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the indices."""
        texts = Texts.of(x)
        shape = texts.shape[:-1] if texts.shape[1:] and texts.shape[-1] == 1 else texts.shape
        rows = list(self._encoded(texts.flat))
        if self.ragged:
            return rows
        width = self.output_sequence_length or max(map(len, rows), default=1) or 1
        padded = np.full((len(rows), width), self.padding, np.int64)
        for i, row in enumerate(rows):
            padded[i, : len(row)] = row
        return padded.reshape(*shape, width)

    def _encoded(self, texts: list[str]) -> Iterator[Array]:
        for first in range(0, len(texts), _CHUNK):
            some = texts[first : first + _CHUNK]
            for one in self.tokenizer.encode_batch(
                some, add_special_tokens=self.add_special_tokens
            ):
                yield np.array(one.ids, np.int64) + self.shift

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return ``(None, t)``."""
        return (input_shape[0], self.output_sequence_length)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, the tokenizer included."""
        return {
            **super().get_config(),
            "tokenizer": self.tokenizer.to_str(),
            "output_sequence_length": self.output_sequence_length,
            "add_special_tokens": self.add_special_tokens,
            "shift": self.shift,
            "ragged": self.ragged,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a layer with these arguments; no other file is read."""
        if not str(config.get("tokenizer")).lstrip().startswith("{"):
            raise FileError("a file of a model must hold the tokenizer, not name another file")
        return cls(**config)


def _package() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise missing_package("tokenizers", "splitting texts into subwords", "text") from None
    return tokenizers


def _loaded(given: Any) -> Any:
    """Return a tokenizer of one's own for another, its JSON or the path of that."""
    package = _package()
    if isinstance(given, package.Tokenizer):
        given = given.to_str()
    if not isinstance(given, str | os.PathLike):
        raise ArgumentError(
            f"Tokenizer takes a tokenizers.Tokenizer, a path or JSON, not {type(given).__name__}"
        )
    is_json = isinstance(given, str) and given.lstrip().startswith("{")
    name = "the JSON" if is_json else repr(os.fspath(given))
    try:
        text = str(given) if is_json else Path(given).read_text(encoding="utf-8")
        return package.Tokenizer.from_str(text)
    except FileNotFoundError:
        raise FileError(f"there is no file {name} with a tokenizer") from None
    except Exception as error:  # the package raises plain exceptions
        raise FileError(f"{name} is no tokenizer: {error}") from None


def _trained(texts: Any, size: int, lowercase: bool) -> Any:
    """Return a tokenizer learnt by byte-pair encoding: of the package's ways, the one that gives
    the same texts the same indices each time."""
    package = _package()
    tokenizer = package.Tokenizer(package.models.BPE(unk_token="[UNK]"))
    cleaners = [package.normalizers.NFKC(), *([package.normalizers.Lowercase()] * lowercase)]
    tokenizer.normalizer = package.normalizers.Sequence(cleaners)
    tokenizer.pre_tokenizer = package.pre_tokenizers.Metaspace()
    tokenizer.decoder = package.decoders.Metaspace()
    how = package.trainers.BpeTrainer(
        vocab_size=size, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    given = _drawn(texts)
    first = next(given, None)
    if first is None:
        raise DataError("there is no text to learn a tokenizer from")
    tokenizer.train_from_iterator(chain([first], given), how)
    return tokenizer


def _drawn(texts: Any) -> Iterator[str]:
    """Yield the texts of a list or array, or of an iterable of texts or of batches of them."""
    if isinstance(texts, list | tuple | np.ndarray | str) or hasattr(texts, "to_numpy"):
        yield from Texts.of(texts).flat
        return
    for batch in texts:
        yield from Texts.of(batch).flat
