"""The tokens that have an index, how rare each is, and how they are learnt or given."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, FileError
from chainrule.layers.text_tokens import Texts

MASK, UNKNOWN = "", "[UNK]"


class Vocabulary:
    """Tokens by index; in front of them stand `special` ones, for padding and unknown tokens.

    `tokens` is None until they are known; `rarity` holds a weight for each index, the special ones
    included, where weights were learnt or given.
    """

    def __init__(self, special: Sequence[str], most: int | None) -> None:
        self.special = list(special)
        self._most = most
        self.tokens: list[str] | None = None
        self.rarity: Array | None = None
        self._index: dict[str, int] = {}

    def learn(self, counts: Counter[str], within: Counter[str] | None, texts: int) -> None:
        """Take the most frequent tokens, and how rare they are from the texts they occur in.

        Raises
        ------
        DataError
            Where there is not one token.
        """
        for token in (MASK, UNKNOWN):
            counts.pop(token, None)
        if not counts:
            raise DataError(f"there is not one token in the {texts:,} texts given to adapt")
        room = None if self._most is None else self._most - len(self.special)
        ordered = sorted(counts, key=lambda token: (counts[token], token), reverse=True)[:room]
        rarity = None
        if within is not None:
            found = np.array([within[token] for token in ordered], np.float64)
            rarity = np.log1p(texts / (1.0 + found))
        self._set(ordered, rarity, None)

    def give(self, given: Any, weights: Any, encoding: str) -> None:
        """Take tokens, or those in a file, which may begin with the special ones."""
        is_path = isinstance(given, str | os.PathLike)
        tokens = Texts.of(_lines(given) if is_path else given, encoding).flat
        first = len(self.special)
        behind = tokens[:first] == self.special
        rest = tokens[first:] if behind else tokens
        self._check(rest)
        rarity = None if weights is None else np.asarray(weights, np.float64)
        if rarity is not None and rarity.shape != (len(tokens),):
            raise ArgumentError(
                f"idf_weights has shape {list(rarity.shape)}; expected one for each of the "
                f"{len(tokens)} tokens"
            )
        if rarity is not None and behind:
            self._set(rest, rarity[first:], rarity[:first])
        else:
            self._set(rest, rarity, None)

    def _check(self, tokens: list[str]) -> None:
        size = len(tokens) + len(self.special)
        if not tokens:
            raise ArgumentError("the vocabulary is empty")
        if self._most is not None and size > self._most:
            raise ArgumentError(
                f"the vocabulary has {size} tokens with {self.special}, but max_tokens is "
                f"{self._most}"
            )
        twice = [token for token, n in Counter(tokens).items() if n > 1]
        if twice:
            raise ArgumentError(f"the vocabulary holds {twice[0]!r} twice")
        if MASK in tokens:
            raise ArgumentError(
                f"the vocabulary holds the empty token at {tokens.index(MASK)}; it stands for "
                f"padding: leave it out, or begin with {self.special}"
            )

    def _set(self, tokens: list[str], rarity: Array | None, special: Array | None) -> None:
        """Keep the tokens; unknown ones are as rare as the mean of the others."""
        self.tokens, first = tokens, len(self.special)
        self._index = dict(zip(tokens, range(first, first + len(tokens)), strict=True))
        if MASK in self.special:
            self._index[MASK] = self.special.index(MASK)
        if rarity is None:
            self.rarity = None
            return
        front = np.full(first, rarity.mean()) if special is None else special
        self.rarity = np.concatenate([front, rarity]).astype(np.float32)

    def __len__(self) -> int:
        return len(self.special) + len(self.tokens or ())

    def indices(self, rows: Iterable[Iterable[str]], count: int) -> Array:
        """Return the indices of all tokens, so many, one row after the other."""
        unknown = repeat(len(self.special) - 1)
        found = map(self._index.get, chain.from_iterable(rows), unknown)
        return np.fromiter(found, np.int64, count)


def _lines(path: str | os.PathLike[str]) -> list[str]:
    """Return the lines of a vocabulary's file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileError(f"there is no file {os.fspath(path)!r} with a vocabulary") from None
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {os.fspath(path)!r}: {error}") from None
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
