"""``chainrule evaluate``, ``predict`` and ``summary``: what a trained model is used for."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from chainrule.cli.problem import test_part, with_target
from chainrule.cli.results import result_lines, trivial_answer
from chainrule.cli.runs import MODEL, write_text
from chainrule.cli.sources import ArraySource, Source, TableSource, open_source
from chainrule.data.preprocessing import TablePreprocessing, as_records
from chainrule.data.tables import Table, as_column
from chainrule.data.targets import Target
from chainrule.errors import DataError, FileError, ShapeError
from chainrule.models import Model, load_model

Array = NDArray[Any]


@dataclass(frozen=True)
class Trained:
    """A model from a file, with what it takes and what it answers."""

    model: Model
    host: TablePreprocessing | None
    target: Target

    def open(self, data: str) -> Source:
        """Return data of the kind that the model takes."""
        source = open_source(data)
        if isinstance(source, TableSource) and self.host is None:
            raise DataError(f"the model takes arrays (.npz), but {data!r} is a table")
        if isinstance(source, ArraySource) and self.host is not None:
            raise DataError(f"the model takes a table (.csv, .parquet), but {data!r} is arrays")
        return source

    def rows(self, table: Table) -> Array:
        """Return the rows of a table as the model takes them."""
        if self.host is None:
            raise DataError("the model takes arrays, not a table")
        self.host.check(table)
        return as_records({column.name: table[column.name] for column in self.host.columns})

    def samples(self, x: Array) -> Array:
        """Return samples that fit the model."""
        expected = tuple(self.model.input_shape[1:])
        if x.shape[1:] != expected:
            raise ShapeError(f"the model takes samples of shape {expected}, not {x.shape[1:]}")
        return x

    def outputs(self, inputs: Array) -> Array:
        """Return what the model answers."""
        outputs = self.model.predict(inputs, verbose=0)
        if isinstance(outputs, list):
            raise DataError("a model with several outputs cannot be used from the command line")
        return outputs


def open_model(name: str) -> Trained:
    """Return the model in a file or in a run folder."""
    path = Path(name)
    path = path / MODEL if path.is_dir() else path
    if not path.is_file():
        raise FileError(f"there is no model {str(path)!r} (expected a run folder or its {MODEL})")
    model = load_model(path)
    hosts = [layer for layer in model.layers if isinstance(layer, TablePreprocessing)]
    return Trained(model, hosts[0] if hosts else None, _target(model))


def _target(model: Model) -> Target:
    """Return the target that training noted, or for a model from Python what its output says."""
    if "target" in model.metadata:
        return Target.from_config(model.metadata["target"])
    width = model.output_shape[-1] or 1
    if width == 1 and not model.label_names:
        return Target("y", "regression")
    labels = model.label_names or [str(label) for label in range(width)]
    return Target("y", "classification", tuple(labels))


def evaluate(model: str, data: str) -> None:
    """Print how good a model is on data, their test part where they have one."""
    trained = open_model(model)
    inputs, y, notes = _measured(trained, trained.open(data))
    for line in notes:
        click.echo(line)
    trivial = trivial_answer(trained.target, y[y >= 0] if trained.target.labels else y)
    for line in result_lines("Test", trained.target, y, trained.outputs(inputs), trivial):
        click.echo(line)


def _measured(trained: Trained, source: Source) -> tuple[Array, Array, list[str]]:
    """Return inputs and targets to measure a model with, and notes on what was left out."""
    target = trained.target
    if isinstance(source, TableSource):
        table, notes = with_target(source.table, target.name)
        return trained.rows(table), *_known(target, table[target.name], notes)
    test = test_part(source, target)
    if test is not None:
        return trained.samples(test.x), test.y, [f"the test set of {source.name}"]
    if source.y is None:
        raise DataError(f"{source.name!r} has no targets: an array y (or y_test) is needed")
    return trained.samples(source.x), *_known(target, as_column(source.y), [])


def _known(target: Target, column: Array, notes: list[str]) -> tuple[Array, list[str]]:
    """Return the targets, and a note on classes that the model was not taught."""
    y = target.encode(column)
    if not target.labels:
        if np.isnan(y).any():
            raise DataError(f"the target {target.name!r} holds values that are no numbers")
        return y, notes
    new = int(np.sum(y < 0))
    if new == len(y):
        classes = ", ".join(target.labels[:10])
        raise DataError(f"no row's {target.name!r} is one of the model's classes: {classes}")
    note = f"{new} rows are of classes that the model does not know: counted as wrong"
    return y, [*notes, note] if new else notes


def predict(model: str, data: str, output: str | None) -> None:
    """Write what a model predicts for each row of data as CSV."""
    trained = open_model(model)
    source = trained.open(data)
    inputs = (
        trained.rows(source.table) if isinstance(source, TableSource) else trained.samples(source.x)
    )
    outputs = trained.outputs(inputs)
    text = _csv(_predictions(trained.target, outputs))
    if output is None:
        sys.stdout.write(text)
        return
    write_text(Path(output), text)
    click.echo(f"wrote {len(outputs):,} predictions to {output}")


def _predictions(target: Target, outputs: Array) -> Iterable[list[str]]:
    """Yield the header and the lines: the prediction, for classes also each one's probability."""
    name = f"predicted {target.name}"
    if not target.labels:
        yield [name]
        yield from ([f"{value:.9g}"] for value in outputs.reshape(len(outputs), -1)[:, 0])
        return
    yield [name, *(f"probability of {label}" for label in target.labels)]
    for row in outputs:
        yield [target.labels[row.argmax()], *(f"{value:.6g}" for value in row)]


def _csv(lines: Iterable[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def summary(model: str) -> None:
    """Print the layers of a model, the columns it takes and the classes it knows."""
    trained = open_model(model)
    trained.model.summary()
    if trained.host is not None:
        click.echo("columns:")
        for column in trained.host.columns:
            click.echo(f"  {column.name}: {column.describe()}")
    click.echo(f"target: {trained.target.name}, {trained.target.task}")
    if trained.target.labels:
        click.echo(f"classes: {', '.join(trained.target.labels)}")
