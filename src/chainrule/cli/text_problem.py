"""Problems whose samples are texts: in a column of a table, or in an array."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.posed import FEWEST_ROWS, Part, Problem, Text
from chainrule.cli.recipes import held_out_share
from chainrule.cli.settings import Settings
from chainrule.cli.sources import ArraySource
from chainrule.data.tables import Table, as_column, take_rows
from chainrule.data.targets import Target, split_rows
from chainrule.errors import ArgumentError, DataError, closest
from chainrule.layers import TextVectorization
from chainrule.layers.text_tokens import Tokens, objects

Array = NDArray[Any]

MOST_WORDS = 20_000
_LONGEST = {"words": 250, "characters": 500}
_SHARE = 95  # percent of texts that are not cut
_SPLITS = {"words": "whitespace", "characters": "character"}
# Letters of scripts that put no spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
_SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f]")
_SPACELESS_SHARE = 0.3
_LOOKED_AT = 2000  # texts that say which script most are in
_SENTENCE = 4  # words from which the values of a column look like sentences


def text_column(table: Table, name: str) -> tuple[Array, Array]:
    """Return the texts of a column, and which rows have one; the error lists the columns."""
    if name not in table:
        raise ArgumentError(
            f"the table has no column {name!r}{closest(name, table)} "
            f"(its columns: {', '.join(table)})"
        )
    values = [_text(value) for value in table[name].tolist()]
    texts = objects(values, (len(values),))
    return texts, np.fromiter((bool(text.strip()) for text in values), bool, len(values))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    missing = value is None or (isinstance(value, float) and value != value)
    return "" if missing else str(value)


def are_texts(x: Array) -> bool:
    """Return whether samples are texts."""
    return x.ndim == 1 and (x.dtype.kind in "UT" or (x.dtype == object and isinstance(x[0], str)))


def text_hint(table: Table, names: Iterable[str]) -> str:
    """Return what to say of the column that looks most like texts, nothing where none does."""
    lengths = {name: _words(table[name][:_LOOKED_AT].tolist()) for name in names}
    name = max(lengths, key=lambda name: lengths[name], default="")
    if not name or lengths[name] < _SENTENCE:
        return ""
    return f"{name!r} looks like texts; --text {name!r} learns from them"


def _words(values: list[Any]) -> float:
    """Return the words in a value, in the mean."""
    texts = [value for value in values if isinstance(value, str)]
    return sum(len(text.split()) for text in texts) / max(len(values), 1)


def text_table_problem(
    source: str,
    table: Table,
    numbers: Array,
    settings: Settings,
    target: Target,
    notes: list[str],
) -> Problem:
    """Return the problem of predicting one column of a table, whose rows have these numbers in the
    data, from the texts of another."""
    name = str(settings.text)
    if name == settings.target:
        raise ArgumentError(f"--text and --target are the same column {name!r}")
    texts, there = text_column(table, name)
    empty = int(np.sum(~there))
    if empty:
        notes = [*notes, f"left out {empty} rows whose {name!r} is empty"]
    y = target.encode(take_rows(table, there)[target.name])
    return _problem(source, name, texts[there], y, numbers[there], target, settings, notes)


def text_array_problem(source: ArraySource, settings: Settings, target: Target) -> Problem:
    """Return the problem of predicting targets from an array of texts."""
    y = target.encode(as_column(source.y))
    note = f"{source.name}: {len(y):,} texts"
    x = source.x.astype(object)
    numbers = np.arange(len(y))
    problem = _problem(source.name, "text", x, y, numbers, target, settings, [note])
    if source.x_test is None or source.y_test is None or problem.host is None:
        return problem
    held = source.x_test.astype(object)
    test = Part(held, problem.host(held), target.encode(as_column(source.y_test)))
    return replace(problem, test=test)


def _problem(
    name: str,
    column: str,
    texts: Array,
    y: Array,
    numbers: Array,
    target: Target,
    settings: Settings,
    notes: list[str],
) -> Problem:
    if len(y) < FEWEST_ROWS:
        raise DataError(f"{len(y)} rows with a target are too few; at least {FEWEST_ROWS} needed")
    labels = y if target.task == "classification" else None
    share = held_out_share(settings, len(y), images=True)
    fit, held_out = split_rows(labels, len(y), share, settings.seed)
    kind, line = _choose_tokens(texts[fit], settings)
    host, found = _vectorization(texts[fit], kind)

    def part(rows: Array) -> Part:
        return Part(texts[rows], host(texts[rows]), y[rows], rows=numbers[rows])

    return Problem(
        name=name,
        target=target.fitted(y[fit]),
        training=part(fit),
        validation=part(held_out) if len(held_out) else None,
        test=None,
        host=host,
        notes=[*notes, line, found],
        text=Text(column, kind, host.vocabulary_size()),
    )


def _choose_tokens(texts: Array, settings: Settings) -> tuple[str, str]:
    """Return what texts are split into, and a line with the reason and how to choose otherwise."""
    if settings.tokens != "auto":
        kind, why = settings.tokens, ""
    else:
        some = "".join("".join(text.split()) for text in texts[:_LOOKED_AT])
        spaceless = len(_SPACELESS.findall(some)) > _SPACELESS_SHARE * max(len(some), 1)
        kind = "characters" if spaceless else "words"
        why = ", since there are few spaces" if spaceless else ""
    other = "words" if kind == "characters" else "characters"
    return kind, f"texts: split into {kind}{why} (otherwise: --tokens {other})"


def _vectorization(texts: Array, kind: str) -> tuple[TextVectorization, str]:
    """Return the layer that makes indices of texts, and a line that says how many and how long.

    Words that occur once say nothing; they are unknown from the beginning, as those to come are.
    """
    split = _SPLITS[kind]
    rows = Tokens.checked("lower_and_strip_punctuation", split, None, "utf-8").of(texts.tolist())
    counts = Counter(token for row in rows for token in row)
    if not counts:
        raise DataError(f"there are no {kind} in the texts")
    often = [token for token, n in counts.items() if n > 1] or list(counts)
    often.sort(key=lambda token: (counts[token], token), reverse=True)
    lengths = [len(row) for row in rows]
    longest = int(np.clip(np.percentile(lengths, _SHARE), 4, _LONGEST[kind]))
    host = TextVectorization(
        split=split,
        output_sequence_length=longest,
        vocabulary=often[:MOST_WORDS],
        name="text",
    )
    cut = sum(length > longest for length in lengths)
    behind = f", {cut:,} longer ones are cut" if cut else ""
    known = len(often[:MOST_WORDS])
    return host, f"vocabulary: {known:,} {kind}; texts of {longest} {kind} at most{behind}"
