"""From data to a problem: what goes in, what is to come out, which rows are held out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.image_folders import FolderSource
from chainrule.cli.image_problem import are_images, folder_problem, images_of
from chainrule.cli.posed import FEWEST_ROWS, Images, Part, Problem
from chainrule.cli.recipes import held_out_share
from chainrule.cli.settings import Settings
from chainrule.cli.sound_problem import sound_problem
from chainrule.cli.sources import ArraySource, Source, TableSource
from chainrule.cli.text_problem import (
    are_texts,
    text_array_problem,
    text_hint,
    text_table_problem,
)
from chainrule.data.columns import CategoryColumn, Features, NumberColumn, choose_features
from chainrule.data.listing import SOUNDS
from chainrule.data.preprocessing import TablePreprocessing, as_records
from chainrule.data.tables import Table, as_column, row_count, take_rows
from chainrule.data.targets import Target, choose_target, has_target, split_rows
from chainrule.errors import ArgumentError, DataError, closest
from chainrule.layers import Flatten, Layer, Normalization, Rescaling

Array = NDArray[Any]


def make_problem(source: Source, settings: Settings) -> Problem:
    """Return the problem that DATA and the options pose."""
    if isinstance(source, FolderSource):
        _refuse_texts(source.name, settings)
        if source.kind is SOUNDS:
            return sound_problem(source, settings)
    _refuse_sounds(settings)
    if isinstance(source, FolderSource):
        return folder_problem(source, settings)
    if settings.image_size is not None:
        raise ArgumentError("--image-size is for folders of images")
    if isinstance(source, TableSource):
        if settings.text is not None:
            return _text_problem(source, settings)
        _refuse_recipe(source.name, settings)
        return _table_problem(source, settings)
    if settings.text is not None:
        raise ArgumentError(f"--text is a column of a table, but {source.name!r} is arrays")
    return _array_problem(source, settings)


def _refuse_sounds(settings: Settings) -> None:
    """Refuse options that are for networks of sounds."""
    for option, given in (("--features", settings.features), ("--network", settings.network)):
        if given != "auto":
            raise ArgumentError(f"{option} is for folders of sounds")


def _refuse_texts(name: str, settings: Settings) -> None:
    """Refuse options that are for networks of texts."""
    for option, given in (("--text", settings.text), ("--tokens", settings.tokens)):
        if given not in (None, "auto"):
            raise ArgumentError(f"{option} is for texts, but {name!r} has none")


def _refuse_recipe(name: str, settings: Settings) -> None:
    """Refuse options that are for networks of images."""
    for option, given, what in (
        ("--recipe", settings.recipe, "images and texts (--text COLUMN)"),
        ("--augment", settings.augment, "images"),
        ("--tokens", settings.tokens, "texts (--text COLUMN)"),
    ):
        if given not in (None, "auto"):
            raise ArgumentError(f"{option} is for {what}, but {name!r} has none")


def _text_problem(source: TableSource, settings: Settings) -> Problem:
    """Return the problem of predicting one column of a table from the texts of another."""
    table, notes = with_target(source.table, settings.target)
    name = str(settings.target)
    target = choose_target(name, table[name], settings.task)
    how = f"{source.name}: {row_count(source.table):,} rows, {source.how}"
    numbers = np.flatnonzero(has_target(source.table[name]))
    return text_table_problem(source.name, table, numbers, settings, target, [how, *notes])


def target_column(table: Table, target: str | None) -> Array:
    """Return the column to predict; the error lists the columns."""
    columns = f"(its columns: {', '.join(table)})"
    if target is None:
        raise ArgumentError(f"say which column to predict with --target COLUMN {columns}")
    if target not in table:
        raise ArgumentError(f"the table has no column {target!r}{closest(target, table)} {columns}")
    return table[target]


def with_target(table: Table, target: str | None) -> tuple[Table, list[str]]:
    """Return the rows whose target is known, and a note on how many are not."""
    column = target_column(table, target)
    known = has_target(column)
    dropped = int(np.sum(~known))
    if dropped == len(column):
        raise DataError(f"the target {target!r} is missing in every row")
    if not dropped:
        return table, []
    return take_rows(table, known), [f"left out {dropped} rows whose {target!r} is missing"]


def _table_problem(source: TableSource, settings: Settings) -> Problem:
    """Return the problem of predicting one column of a table from the others."""
    table, notes = with_target(source.table, settings.target)
    target = choose_target(str(settings.target), table[str(settings.target)], settings.task)
    y = target.encode(table[target.name])
    fit, held_out = _split(target, y, settings, images=False)
    others = [name for name in table if name != target.name]
    hint = text_hint(table, others)
    try:
        features = choose_features(take_rows(table, fit), others)
    except DataError as error:
        raise DataError(f"{error}; {hint}" if hint else str(error)) from None
    host = TablePreprocessing(features.columns)
    numbers = np.flatnonzero(has_target(source.table[target.name]))
    needed = {column.name: table[column.name] for column in features.columns}

    def part(rows: Array) -> Part:
        chosen = take_rows(needed, rows)
        return Part(as_records(chosen), host(chosen), y[rows], rows=numbers[rows])

    how = f"{source.name}: {row_count(source.table):,} rows, {source.how}"
    return Problem(
        name=source.name,
        target=target.fitted(y[fit]),
        training=part(fit),
        validation=part(held_out) if len(held_out) else None,
        test=None,
        host=host,
        notes=[how, *notes, *_described(features, host), *([hint] if hint else [])],
    )


def _described(features: Features, host: TablePreprocessing) -> list[str]:
    """Return lines that say what each column was taken for."""
    numbers = [c.name for c in features.columns if isinstance(c, NumberColumn)]
    categories = [
        f"{c.name} ({len(c.vocabulary)})" for c in features.columns if isinstance(c, CategoryColumn)
    ]
    gaps = [c.name for c in features.columns if isinstance(c, NumberColumn) and c.indicator]
    lines = [
        f"numbers: {_listed(numbers)}",
        f"categories: {_listed(categories)}",
        f"numbers with missing values, filled with the mean and marked: {_listed(gaps)}",
        *(f"left out: {name!r}, {reason}" for name, reason in features.left_out.items()),
        f"the network sees {host.width} inputs",
    ]
    return [line for line in lines if not line.endswith(": ")]


def _listed(names: list[str], most: int = 12) -> str:
    """Return the names, or the first of them and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _array_problem(source: ArraySource, settings: Settings) -> Problem:
    """Return the problem of predicting targets from arrays."""
    if source.y is None:
        raise DataError(f"{source.name!r} has no targets: an array y (or y_train) is needed")
    if settings.target not in (None, source.target):
        raise ArgumentError(f"{source.name!r} is arrays, not a table: leave out --target")
    column = as_column(source.y)
    target = _array_target(source, column, settings)
    if are_texts(source.x):
        return text_array_problem(source, settings, target)
    y = target.encode(column)
    images = are_images(source.x)
    source = _with_channels(source) if images else source
    fit, held_out = _split(target, y, settings, images)
    x_fit = source.x[fit]
    found, inputs, notes = _first_layers(source, x_fit, target, settings)
    return Problem(
        name=source.name,
        target=target.fitted(y[fit]),
        training=_array_part(x_fit, y[fit], fit),
        validation=_array_part(source.x[held_out], y[held_out], held_out)
        if len(held_out)
        else None,
        test=test_part(source, target),
        host=None,
        inputs=inputs,
        notes=[f"{source.name}: {len(y):,} samples of shape {source.x.shape[1:]}", *notes],
        images=found,
    )


def _with_channels(source: ArraySource) -> ArraySource:
    """Return images [n, h, w, c], gray ones with the axis of their channel."""
    if source.x.ndim == 4:
        return source
    test = None if source.x_test is None else source.x_test[..., None]
    return replace(source, x=source.x[..., None], x_test=test)


def _array_target(source: ArraySource, column: Array, settings: Settings) -> Target:
    """Return what is to be learnt: classes whose order is known, or what the values suggest."""
    if source.labels and settings.task != "regression":
        return Target(source.target, "classification", source.labels)
    task = source.task if settings.task == "auto" else settings.task
    return choose_target(source.target, column, task)


def _first_layers(
    source: ArraySource, x: Array, target: Target, settings: Settings
) -> tuple[Images | None, list[Layer], list[str]]:
    """Return how the samples are images, the network's first layers, and what to say of them."""
    if are_images(x):
        _refuse_texts(source.name, settings)
        found, layers, line = images_of(x, target, source.augment, settings)
        return found, layers, [line]
    _refuse_recipe(source.name, settings)
    return None, _input_layers(x), []


def _array_part(x: Array, y: Array, rows: Array | None = None) -> Part:
    return Part(x, x, y, rows=rows)


def test_part(source: ArraySource, target: Target) -> Part | None:
    """Return the samples that the data keep to test on."""
    if source.x_test is None or source.y_test is None:
        return None
    return _array_part(source.x_test, target.encode(as_column(source.y_test)))


def _input_layers(x: Array) -> list[Layer]:
    """Return the layers that bring samples to vectors of ordinary size."""
    flatten: list[Layer] = [Flatten()] if x.ndim > 2 else []
    if x.dtype == np.uint8:
        return [*flatten, Rescaling(1 / 255)]
    normalization = Normalization()
    normalization.adapt(x.reshape(len(x), -1))
    return [*flatten, normalization]


def _split(target: Target, y: Array, settings: Settings, images: bool) -> tuple[Array, Array]:
    """Return the rows to train on and those to hold out."""
    if len(y) < FEWEST_ROWS:
        raise DataError(f"{len(y)} rows with a target are too few; at least {FEWEST_ROWS} needed")
    labels = y if target.task == "classification" else None
    return split_rows(labels, len(y), held_out_share(settings, len(y), images), settings.seed)
