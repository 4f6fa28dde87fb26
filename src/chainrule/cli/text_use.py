"""What a trained model of texts is given on the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from chainrule.cli.sources import ArraySource, Source, TableSource, is_named
from chainrule.cli.text_problem import are_texts
from chainrule.data.table_files import TABLE_SUFFIXES
from chainrule.errors import DataError
from chainrule.layers import TextVectorization, Tokenizer
from chainrule.layers.text_tokens import objects
from chainrule.models import Model


def column_of(model: Model) -> str | None:
    """Return the column that the texts of a model are in; None for a model of something else."""
    takes_texts = bool(model.layers) and isinstance(model.layers[0], TextVectorization | Tokenizer)
    return str(model.metadata.get("text", "text")) if takes_texts else None


def checked(source: Source, data: str) -> Source:
    """Return a source in which there may be texts; DataError for what cannot have any."""
    if isinstance(source, TableSource) or (isinstance(source, ArraySource) and are_texts(source.x)):
        return source
    raise DataError(f"the model takes texts, or a table with a column of them; {data!r} has none")


def is_data(given: Sequence[str]) -> bool:
    """Return whether this is a file or a data set, and not sentences."""
    if len(given) != 1:
        return False
    return is_named(given[0]) or Path(given[0]).suffix.lower() in (*TABLE_SUFFIXES, ".npz")


def sentences(given: Sequence[str]) -> NDArray[Any]:
    """Return the arguments, or the lines of the standard input where there are none (or ``-``)."""
    texts = list(given)
    if texts in ([], ["-"]):
        if sys.stdin.isatty():
            click.echo("texts, one a line; Ctrl-D ends:", err=True)
        texts = [line.rstrip("\r\n") for line in sys.stdin]
    if not texts:
        raise DataError("there is no text to predict for")
    return objects(texts, (len(texts),))
