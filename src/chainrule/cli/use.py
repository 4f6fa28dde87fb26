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

from chainrule.cli import text_use
from chainrule.cli.image_folders import FolderSource, form_text, labelled_as, noted, opened, rows_of
from chainrule.cli.mistakes import Mistakes
from chainrule.cli.posed import Samples
from chainrule.cli.problem import test_part, with_target
from chainrule.cli.results import result_lines, trivial_answer
from chainrule.cli.runs import MODEL, write_text
from chainrule.cli.sound_folders import form_text as sound_text
from chainrule.cli.sound_folders import kind_of
from chainrule.cli.sources import ArraySource, Source, TableSource, is_named, open_source
from chainrule.cli.text_problem import text_column
from chainrule.data.audio_forms import SoundForm
from chainrule.data.folders import SampleFolder
from chainrule.data.idx import idx_files
from chainrule.data.images import Form
from chainrule.data.listing import IMAGES, SOUNDS, Kind, flat
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
    form: Form | SoundForm | None = None  # what files are made, for a model of images or sounds
    text: str | None = None  # the column of texts, for a model of such

    def open(self, data: str) -> Source:
        """Return data of the kind that the model takes."""
        source = open_source(data)
        if isinstance(source, FolderSource):
            self.form_of(source.kind)
        if self.text is not None:
            return text_use.checked(source, data)
        if isinstance(source, TableSource) and self.host is None:
            raise DataError(f"the model takes arrays (.npz), but {data!r} is a table")
        if isinstance(source, ArraySource) and self.host is not None:
            raise DataError(f"the model takes a table (.csv, .parquet), but {data!r} is arrays")
        return source

    def rows(self, table: Table) -> Array:
        """Return the rows of a table as the model takes them."""
        if self.text is not None:
            return text_column(table, self.text)[0]
        if self.host is None:
            raise DataError("the model takes arrays, not a table")
        self.host.check(table)
        return as_records({column.name: table[column.name] for column in self.host.columns})

    def samples(self, x: Array) -> Array:
        """Return samples that fit the model; gray images may lack the axis of their channel."""
        expected = tuple(self.model.input_shape[1:])
        if isinstance(self.form, Form) and (*x.shape[1:], 1) == expected:
            x = x[..., None]
        if x.shape[1:] != expected:
            raise ShapeError(f"the model takes samples of shape {expected}, not {x.shape[1:]}")
        return x

    @property
    def kind(self) -> Kind:
        """The kind of files that the model takes, where it takes any."""
        return SOUNDS if isinstance(self.form, SoundForm) else IMAGES

    def form_of(self, kind: Kind | None = None) -> Form | SoundForm:
        """Return what files are made for the model; DataError if it takes none of this kind."""
        if self.form is not None and kind in (self.kind, None):
            return self.form
        if self.form is not None:
            takes = f"{self.kind.noun} files"
        else:
            takes = "tables (.csv, .parquet)" if self.host is not None else "arrays (.npz)"
        noun = IMAGES.noun if kind is None else kind.noun
        raise DataError(
            f"the model takes {takes}, not {noun} files: 'chainrule train' has not made it "
            f"from {noun}s"
        )

    def files(self, files: Sequence[Path], labels: Array | None = None) -> SampleFolder:
        """Return files as the model takes them."""
        return opened(files, labels, list(self.target.labels), self.form_of())

    def outputs(self, inputs: Samples) -> Array:
        """Return what the model answers."""
        outputs = self.model.predict(inputs, verbose=0)
        if not isinstance(outputs, np.ndarray):
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
    host = hosts[0] if hosts else None
    return Trained(model, host, _target(model), _form(model), text_use.column_of(model))


def _form(model: Model) -> Form | SoundForm | None:
    """Return what training noted of the images or sounds that the model takes."""
    images, sounds = (model.metadata.get(name) for name in ("images", "sounds"))
    try:
        if images is not None:
            return Form(**{**images, "size": tuple(images["size"])})
        return None if sounds is None else SoundForm.from_config(sounds)
    except (TypeError, KeyError, ArgumentError):
        noun = "images" if images is not None else "sounds"
        raise DataError(f"the description of the {noun} in the model file is damaged") from None


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
) -> tuple[SampleFolder, Array, list[str]]:
    """Return the files of a folder with one subfolder a class, as the model's classes."""
    place, noun = source.measured(), source.kind.noun
    notes = [f"the {noun}s in {str(place)!r}"]
    with noted(notes):
        found = labelled_as(place, trained.target.labels, source.kind)
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
    """Write what a model predicts for each row of data as CSV, or for each of many files."""
    trained = open_model(model)
    if trained.text is not None and not text_use.is_data(data):
        texts = text_use.sentences(data)
        outputs = trained.outputs(texts)
        lines = list(_predictions(trained.target, outputs))
        _write(_beside("text", texts.tolist(), lines, outputs, output), len(outputs), output)
        return
    if not data:
        raise ArgumentError("say what to predict: chainrule predict MODEL DATA")
    kind = _kind_of(data[0])
    if len(data) > 1 or kind is not None:
        _predict_files(trained, data, kind, output)
        return
    source = trained.open(data[0])
    if isinstance(source, TableSource):
        outputs = trained.outputs(trained.rows(source.table))
    elif isinstance(source, ArraySource):
        outputs = trained.outputs(trained.samples(source.x))
    else:
        raise DataError(f"{data[0]!r} is a folder: its files are predicted one by one")
    _write(_predictions(trained.target, outputs), len(outputs), output)


def _kind_of(data: str) -> Kind | None:
    """Return the kind of a file by its name, or of the files in a folder; None for other data."""
    path = Path(data)
    if path.is_dir():
        return None if is_named(data) or idx_files(path) else kind_of(path)
    return next((kind for kind in (IMAGES, SOUNDS) if kind.has(path)), None)


def _predict_files(
    trained: Trained, data: Sequence[str], kind: Kind | None, output: str | None
) -> None:
    """Write what a model predicts for image or sound files; those that are broken are named."""
    trained.form_of(kind)
    with noted([]):  # the same is told below
        paths = [path for name in data for path in _files_of(Path(name), trained.kind)]
        folder = trained.files(paths)
    outputs = trained.outputs(folder)
    lines = list(_predictions(trained.target, outputs))
    _write(_beside("file", rows_of(folder)[0], lines, outputs, output), len(outputs), output)
    for why in folder.broken.values():
        click.echo(f"error: {why}", err=True)
    if folder.broken:
        click.get_current_context().exit(2)


def _beside(
    what: str, names: list[str], lines: list[list[str]], outputs: Array, output: str | None
) -> list[list[str]]:
    """Return predictions beside what each is of; for the terminal with one probability alone."""
    if output is None and len(lines[0]) > 1:
        surest = [f"{row.max():.4f}" for row in outputs]
        pairs = zip(lines, ["probability", *surest], strict=True)
        lines = [[line[0], probability] for line, probability in pairs]
    return [[name, *line] for name, line in zip([what, *names], lines, strict=True)]


def _files_of(path: Path, kind: Kind) -> list[Path]:
    """Return the files of a kind in a folder and below, or the file itself."""
    return flat(path, kind=kind).files if path.is_dir() else [path]


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
    """Print the layers of a model, what it takes and the classes it knows."""
    trained = open_model(model)
    trained.model.summary()
    if isinstance(trained.form, SoundForm):
        click.echo(f"sounds: {sound_text(trained.form)}")
    elif trained.form is not None:
        click.echo(f"images: {form_text(trained.form)}")
    if trained.text is not None:
        click.echo(f"texts: in the column {trained.text!r} of a table, or sentences")
    if trained.host is not None:
        click.echo("columns:")
        for column in trained.host.columns:
            click.echo(f"  {column.name}: {column.describe()}")
    click.echo(f"target: {trained.target.name}, {trained.target.task}")
    if trained.target.labels:
        click.echo(f"classes: {', '.join(trained.target.labels)}")
