"""``chainrule evaluate``, ``predict`` and ``summary``: what a trained model is used for."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from chainrule.cli.image_folders import FolderSource, form_text, labelled_as, noted, opened, rows_of
from chainrule.cli.mistakes import Mistakes
from chainrule.cli.posed import Samples
from chainrule.cli.problem import test_part, with_target
from chainrule.cli.results import result_lines, trivial_answer
from chainrule.cli.runs import MODEL, write_text
from chainrule.cli.sources import ArraySource, Source, TableSource, is_named, open_source
from chainrule.data.folders import ImageFolder
from chainrule.data.idx import idx_files
from chainrule.data.images import SUFFIXES, Form
from chainrule.data.listing import flat
from chainrule.data.preprocessing import TablePreprocessing, as_records
from chainrule.data.tables import Table, as_column
from chainrule.data.targets import Target
from chainrule.errors import ArgumentError, DataError, FileError, ShapeError
from chainrule.models import Model, load_model

Array = NDArray[Any]


@dataclass(frozen=True)
class Trained:
    """A model from a file, with what it takes and what it answers."""

    model: Model
    host: TablePreprocessing | None
    target: Target
    form: Form | None = None  # what image files are made, for a model of images

    def open(self, data: str) -> Source:
        """Return data of the kind that the model takes."""
        source = open_source(data)
        if isinstance(source, FolderSource):
            self.images()
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
        """Return samples that fit the model; gray images may lack the axis of their channel."""
        expected = tuple(self.model.input_shape[1:])
        if self.form is not None and (*x.shape[1:], 1) == expected:
            x = x[..., None]
        if x.shape[1:] != expected:
            raise ShapeError(f"the model takes samples of shape {expected}, not {x.shape[1:]}")
        return x

    def images(self) -> Form:
        """Return what image files are made for the model; DataError if it does not take them."""
        if self.form is None:
            kind = "tables (.csv, .parquet)" if self.host is not None else "arrays (.npz)"
            raise DataError(
                f"the model takes {kind}, not image files: 'chainrule train' has not made it "
                "from images"
            )
        return self.form

    def files(self, files: Sequence[Path], labels: Array | None = None) -> ImageFolder:
        """Return image files as the model takes them."""
        names = list(self.target.labels)
        return opened(files, labels, names, self.images())

    def outputs(self, inputs: Samples) -> Array:
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
    return Trained(model, hosts[0] if hosts else None, _target(model), _form(model))


def _form(model: Model) -> Form | None:
    """Return what training noted of the images that the model takes."""
    noted = model.metadata.get("images")
    if noted is None:
        return None
    try:
        return Form(**{**noted, "size": tuple(noted["size"])})
    except (TypeError, KeyError, ArgumentError):
        raise DataError("the description of the images in the model file is damaged") from None


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
    target, outputs = trained.target, trained.outputs(inputs)
    trivial = trivial_answer(target, y[y >= 0] if target.labels else y)
    lines = result_lines("Test", target, y, outputs, trivial)
    if trained.form is not None and target.labels:
        lines += Mistakes("test", target.labels, inputs, y, outputs).lines()
    for line in lines:
        click.echo(line)


def _measured(trained: Trained, source: Source) -> tuple[Samples, Array, list[str]]:
    """Return inputs and targets to measure a model with, and notes on what was left out."""
    target = trained.target
    if isinstance(source, FolderSource):
        return _measured_folder(trained, source)
    if isinstance(source, TableSource):
        table, notes = with_target(source.table, target.name)
        return trained.rows(table), *_known(target, table[target.name], notes)
    test = test_part(source, target)
    if test is not None:
        notes = [f"the test set of {source.name}"]
        return trained.samples(np.asarray(test.x)), test.y, notes
    if source.y is None:
        raise DataError(f"{source.name!r} has no targets: an array y (or y_test) is needed")
    return trained.samples(source.x), *_known(target, as_column(source.y), [])


def _measured_folder(
    trained: Trained, source: FolderSource
) -> tuple[ImageFolder, Array, list[str]]:
    """Return the images of a folder with one subfolder a class, as the model's classes."""
    place, notes = source.measured(), [f"the images in {str(source.measured())!r}"]
    with noted(notes):
        found = labelled_as(place, trained.target.labels)
        folder = trained.files(found.files, found.labels)
    return folder, rows_of(folder)[1], notes


def _known(target: Target, column: Array, notes: list[str]) -> tuple[Array, list[str]]:
    """Return the targets, and a note on classes that the model was not taught."""
    y = target.encode(column)
    if not target.labels:
        if np.isnan(y).any():
            raise DataError(f"the target {target.name!r} holds values that are no numbers")
        return y, notes
    if (y < 0).all():
        classes = ", ".join(target.labels[:10])
        raise DataError(f"no row's {target.name!r} is one of the model's classes: {classes}")
    new = int(np.sum(y < 0))
    note = f"{new} rows are of classes that the model does not know: counted as wrong"
    return y, [*notes, note] if new else notes


def predict(model: str, data: Sequence[str], output: str | None) -> None:
    """Write what a model predicts for each row of data as CSV, or for each of many image files."""
    trained = open_model(model)
    if len(data) > 1 or _is_of_images(data[0]):
        _predict_files(trained, data, output)
        return
    source = trained.open(data[0])
    if isinstance(source, TableSource):
        outputs = trained.outputs(trained.rows(source.table))
    elif isinstance(source, ArraySource):
        outputs = trained.outputs(trained.samples(source.x))
    else:
        raise DataError(f"{data[0]!r} is a folder: its images are predicted file by file")
    _write(_predictions(trained.target, outputs), len(outputs), output)


def _is_of_images(data: str) -> bool:
    """Return whether this is an image file by its name, or a folder of them."""
    path = Path(data)
    if path.is_dir():
        return not is_named(data) and not idx_files(path)
    return path.suffix.lower() in SUFFIXES


def _predict_files(trained: Trained, data: Sequence[str], output: str | None) -> None:
    """Write what a model predicts for image files; those that are broken are named."""
    trained.images()
    with noted([]):  # the same is told below
        folder = trained.files([path for name in data for path in _files_of(Path(name))])
    outputs = trained.outputs(folder)
    lines = list(_predictions(trained.target, outputs))
    if output is None and trained.target.labels:
        surest = [f"{row.max():.4f}" for row in outputs]
        pairs = zip(lines, ["probability", *surest], strict=True)
        lines = [[line[0], probability] for line, probability in pairs]
    names = ["file", *rows_of(folder)[0]]
    _write([[name, *line] for name, line in zip(names, lines, strict=True)], len(outputs), output)
    for why in folder.broken.values():
        click.echo(f"error: {why}", err=True)
    if folder.broken:
        click.get_current_context().exit(2)


def _files_of(path: Path) -> list[Path]:
    """Return the images in a folder and below, or the file itself."""
    return flat(path).files if path.is_dir() else [path]


def _write(lines: Iterable[list[str]], count: int, output: str | None) -> None:
    """Write predictions to the terminal, or to a file."""
    text = _csv(lines)
    if output is None:
        sys.stdout.write(text)
        return
    write_text(Path(output), text)
    click.echo(f"wrote {count:,} predictions to {output}")


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
    """Print the layers of a model, the columns or images it takes and the classes it knows."""
    trained = open_model(model)
    trained.model.summary()
    if trained.form is not None:
        click.echo(f"images: {form_text(trained.form)}")
    if trained.host is not None:
        click.echo("columns:")
        for column in trained.host.columns:
            click.echo(f"  {column.name}: {column.describe()}")
    click.echo(f"target: {trained.target.name}, {trained.target.task}")
    if trained.target.labels:
        click.echo(f"classes: {', '.join(trained.target.labels)}")
