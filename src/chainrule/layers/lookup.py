"""Words and whole numbers as indices of a vocabulary; these run on arrays, in front of the step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule import dtypes
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, NotBuiltError
from chainrule.layers.base import Layer, Shape

_MODES = ("int", "one_hot", "multi_hot", "count")


class _Lookup(Layer):
    """What looking up words and numbers share."""

    on_host = True
    kind: ClassVar[type] = str

    def __init__(
        self,
        vocabulary: Sequence[Any] | None,
        mask_token: Any,
        oov_token: Any,
        num_oov_indices: int,
        max_tokens: int | None,
        output_mode: str,
        invert: bool,
        options: dict[str, Any],
    ) -> None:
        super().__init__(**options)
        if output_mode not in _MODES:
            raise ArgumentError(f"output_mode is one of {', '.join(_MODES)}, not {output_mode!r}")
        if num_oov_indices < 0:
            raise ArgumentError(f"num_oov_indices is {num_oov_indices}; expected at least 0")
        if invert and output_mode != "int":
            raise ArgumentError("invert=True needs output_mode='int'")
        self.mask_token, self.oov_token = mask_token, oov_token
        self.num_oov_indices, self.max_tokens = num_oov_indices, max_tokens
        self.output_mode, self.invert = output_mode, invert
        self._tokens: list[Any] | None = None
        self.built = True
        if vocabulary is not None:
            self.set_vocabulary(vocabulary)

    @property
    def _masks(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    def set_vocabulary(self, vocabulary: Sequence[Any]) -> None:
        """Use these tokens, in this order, behind those for masked and unknown ones.

        Raises
        ------
        ArgumentError
            For a token that occurs twice.
        """
        tokens = [self.kind(t) for t in np.asarray(vocabulary).ravel().tolist()]
        reserved = (self.mask_token, self.oov_token)
        while tokens and tokens[0] in reserved:
            tokens.pop(0)
        twice = [t for t, n in Counter(tokens).items() if n > 1]
        if twice:
            raise ArgumentError(f"the vocabulary holds {twice[0]!r} twice")
        self._tokens = tokens
        first = self._masks + self.num_oov_indices
        self._index = {t: first + i for i, t in enumerate(tokens)}

    def adapt(self, data: Any) -> None:
        """Take the vocabulary from data: the most frequent token first, equals in order."""
        counts = Counter(self.kind(t) for t in np.asarray(data).ravel().tolist())
        counts.pop(self.mask_token, None)
        ordered = sorted(counts, key=lambda t: (-counts[t], _reversed(t)))
        room = None
        if self.max_tokens is not None:
            room = max(0, self.max_tokens - self.num_oov_indices - self._masks)
        self.set_vocabulary(ordered[:room])

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """Return the tokens by index."""
        special: list[Any] = []
        if include_special_tokens:
            special = [self.mask_token] * self._masks + [self.oov_token] * self.num_oov_indices
        return special + self._known()

    def vocabulary_size(self) -> int:
        """Return the number of indices."""
        return self._masks + self.num_oov_indices + len(self._known())

    def _known(self) -> list[Any]:
        if self._tokens is None:
            raise NotBuiltError(f"{self.label} has no vocabulary: call adapt(data)")
        return list(self._tokens)

    def detail(self) -> str:
        """Return the size of the vocabulary."""
        return "" if self._tokens is None else f"{self.vocabulary_size()} tokens"

    def __call__(  # type: ignore[override]
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        """Return indices (int64) or vectors for an array of tokens; inverted, tokens."""
        return self.call(np.asarray(inputs), training=bool(training))

    def call(self, x: Any, training: bool = False) -> Any:
        """Return the encoded array."""
        if self.invert:
            return self._inverted(x)
        self._known()
        indices = np.array([self._of(t) for t in x.ravel().tolist()], np.int64).reshape(x.shape)
        return indices if self.output_mode == "int" else self._encoded(indices)

    def _of(self, token: Any) -> int:
        token = self.kind(token)
        if self._masks and token == self.mask_token:
            return 0
        known = self._index.get(token)
        if known is not None:
            return known
        if not self.num_oov_indices:
            raise ArgumentError(f"{self.label} does not know {token!r} and has no index for it")
        return self._masks + _stable_hash(token) % self.num_oov_indices

    def _inverted(self, x: Array) -> Any:
        words = self.get_vocabulary()
        ok = (x >= 0) & (x < len(words))
        found = [words[i] if o else self.oov_token for i, o in zip(x.ravel(), ok.ravel())]  # noqa: B905
        return np.array(found, dtype=np.str_ if self.kind is str else np.int64).reshape(x.shape)

    def _encoded(self, indices: Array) -> Any:
        size = self.vocabulary_size()
        if self.output_mode == "one_hot":
            flat = indices[..., 0] if indices.ndim > 1 and indices.shape[-1] == 1 else indices
            return (flat[..., None] == np.arange(size)).astype(self.dtype)
        rows = indices.reshape(indices.shape[0], -1)
        counts = np.zeros((rows.shape[0], size), dtypes.floatx())
        np.add.at(counts, (np.arange(rows.shape[0])[:, None], rows), 1)
        return counts if self.output_mode == "count" else np.minimum(counts, 1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what the look-up gives."""
        if self.output_mode == "int":
            return tuple(input_shape)
        size = self.vocabulary_size()
        if self.output_mode == "one_hot":
            inner = input_shape[1:]
            inner = inner[:-1] if inner and inner[-1] == 1 else inner
            return (None, *inner, size)
        return (None, size)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, the vocabulary included."""
        return {
            **super().get_config(),
            "vocabulary": self._tokens,
            "mask_token": self.mask_token,
            "oov_token": self.oov_token,
            "num_oov_indices": self.num_oov_indices,
            "max_tokens": self.max_tokens,
            "output_mode": self.output_mode,
            "invert": self.invert,
        }


def _reversed(token: Any) -> Any:
    """Return a key that sorts equally frequent tokens as Keras does: descending."""
    return -token if isinstance(token, int) else tuple(-ord(c) for c in token)


def _stable_hash(token: Any) -> int:
    """Return a hash that is the same in every process (FNV-1a, 64 bits)."""
    value = 0xCBF29CE484222325
    for byte in str(token).encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class StringLookup(_Lookup):
    """Words to indices: ``y = vocabulary.index(x)``, unknown words to the first indices.

    Parameters
    ----------
    max_tokens : int, optional
        The largest vocabulary that `adapt` makes.
    num_oov_indices : int, default 1
        Indices for unknown words; with 0 an unknown word is an error.
    mask_token : str, optional
        A word that gets index 0.
    oov_token : str, default "[UNK]"
        What an unknown index becomes when inverted.
    vocabulary : sequence of str, optional
        Else call `adapt`.
    invert : bool, default False
        Indices to words.
    output_mode : {"int", "one_hot", "multi_hot", "count"}, default "int"
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an argument outside its range.
    NotBuiltError
        When used without a vocabulary.

    Examples
    --------
    >>> from chainrule.layers import StringLookup
    >>> StringLookup(vocabulary=["a", "b"])([["b", "z"]]).tolist()
    [[2, 0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Sequence[str] | None = None,
        invert: bool = False,
        output_mode: str = "int",
        **options: Any,
    ) -> None:
        super().__init__(
            vocabulary,
            mask_token,
            oov_token,
            num_oov_indices,
            max_tokens,
            output_mode,
            invert,
            options,
        )


class IntegerLookup(_Lookup):
    """Whole numbers to indices, as `StringLookup` for words.

    Parameters
    ----------
    max_tokens, num_oov_indices, vocabulary, invert, output_mode, **options
        See `StringLookup`.
    mask_token : int, optional
        A number that gets index 0.
    oov_token : int, default -1
        What an unknown index becomes when inverted.

    Examples
    --------
    >>> from chainrule.layers import IntegerLookup
    >>> IntegerLookup(vocabulary=[12, 36])([[36, 7]]).tolist()
    [[2, 0]]
    """

    kind = int

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Sequence[int] | None = None,
        invert: bool = False,
        output_mode: str = "int",
        **options: Any,
    ) -> None:
        super().__init__(
            vocabulary,
            mask_token,
            oov_token,
            num_oov_indices,
            max_tokens,
            output_mode,
            invert,
            options,
        )
