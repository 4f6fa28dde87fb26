"""``chainrule train``: from data to a run folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from chainrule import optimizers
from chainrule.callbacks import EarlyStopping
from chainrule.cli import runs
from chainrule.cli.problem import Part, Problem, make_problem
from chainrule.cli.results import result_lines, trivial_answer
from chainrule.cli.settings import Settings
from chainrule.cli.sources import open_source
from chainrule.data.targets import Target
from chainrule.errors import DataError
from chainrule.layers import Dense, Dropout, Input, Layer, Rescaling
from chainrule.models import Sequential
from chainrule.optimizers import Optimizer
from chainrule.training.progress import duration
from chainrule.utils import set_random_seed

_LARGE, _MANY_BATCHES, _LARGEST_BATCH = 20_000, 600, 1024


@dataclass(frozen=True)
class Outcome:
    """What training gave: a model that takes raw rows, and what was measured on the way."""

    model: Sequential
    history: runs.History
    interrupted: bool


def run(settings: Settings, output: str | None) -> None:
    """Train as asked, print the result, and leave it in a folder."""
    problem = make_problem(open_source(settings.data), settings)
    settings = _resolved(settings, problem)
    for line in [*problem.notes, _target_line(problem.target), _rows_line(problem)]:
        click.echo(line)
    # Made before training: a place that cannot be written must not cost the run.
    with runs.run_folder(problem.name, output) as folder:
        outcome = train(problem, settings)
        outcome.model.save(folder / runs.MODEL)
        notes = runs.write_record(folder, settings, outcome.history)
        saved = f"saved in {folder}/: {_files(folder)}"
    for line in [*_results(problem, outcome.model), *notes, saved]:
        click.echo(line)
    if outcome.interrupted:
        click.get_current_context().exit(130)


def _resolved(settings: Settings, problem: Problem) -> Settings:
    """Return the settings with everything that was left open as it was decided."""
    rows = len(problem.training.y)
    size = settings.batch_size or _batch_size(rows)
    source = Path(settings.data)
    data = str(source.resolve()) if source.is_file() else settings.data
    return replace(settings, data=data, task=problem.target.task, batch_size=size)


def _batch_size(rows: int) -> int:
    """Return 32, or for many rows a power of two that makes some hundred steps an epoch."""
    size = 32
    while rows > _LARGE and size < _LARGEST_BATCH and rows > size * _MANY_BATCHES:
        size *= 2
    return size


def _target_line(target: Target) -> str:
    """Return what was chosen for the target, why, and how to choose otherwise."""
    if target.task == "classification":
        shown = ", ".join(target.labels[:10]) + (", ..." if len(target.labels) > 10 else "")
        chosen, other = f"classification, {len(target.labels)} classes ({shown})", "regression"
    else:
        chosen, other = "regression", "classification"
    how = f", {target.why} (otherwise: --task {other})" if target.why else ""
    return f"target {target.name!r}: {chosen}{how}"


def _rows_line(problem: Problem) -> str:
    parts = {
        "to train on": problem.training,
        "held out": problem.validation,
        "to test": problem.test,
    }
    return "rows: " + ", ".join(f"{len(part.y):,} {what}" for what, part in parts.items() if part)


def train(problem: Problem, settings: Settings) -> Outcome:
    """Return the outcome of one run; Ctrl-C ends it early with the best weights so far."""
    set_random_seed(settings.seed)
    core = build_network(problem, settings)
    core.compile(_optimizer(settings), loss=_loss(problem.target), metrics=_metrics(problem.target))
    stop = EarlyStopping(
        monitor="val_loss" if problem.validation else "loss",
        patience=settings.patience,
        restore_best_weights=True,
        verbose=1,
    )
    interrupted = False
    began = time.perf_counter()
    try:
        core.fit(
            problem.training.x,
            _scaled(problem.target, problem.training),
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            callbacks=[stop],
            validation_data=_validation(problem),
        )
    except KeyboardInterrupt:
        interrupted = True
        stop.on_train_end()
    history = core.history.history if core.history else {}
    click.echo(
        f"{'interrupted' if interrupted else 'trained'} after "
        f"{len(next(iter(history.values()), ()))} epochs, {duration(time.perf_counter() - began)}"
    )
    return Outcome(finished_model(core, problem, settings), history, interrupted)


def build_network(problem: Problem, settings: Settings) -> Sequential:
    """Return the network between the host's preprocessing and the target's own units."""
    target = problem.target
    hidden: list[Layer] = []
    for place, units in enumerate(settings.hidden, 1):
        hidden.append(Dense(units, activation=settings.activation, name=f"hidden_{place}"))
        if settings.dropout:
            hidden.append(Dropout(settings.dropout, name=f"dropout_{place}"))
    last = (
        Dense(len(target.labels), activation="softmax", name="classes")
        if target.task == "classification"
        else Dense(1, name="value")
    )
    shape = problem.training.x.shape[1:]
    return Sequential([Input(shape), *problem.inputs, *hidden, last], name=problem.name)


def _optimizer(settings: Settings) -> Optimizer:
    """Return the optimizer by its name, with the learning rate asked for."""
    optimizer = optimizers.get(settings.optimizer)
    if settings.learning_rate is None:
        return optimizer
    return type(optimizer)(learning_rate=settings.learning_rate)


def _loss(target: Target) -> str:
    return "sparse_categorical_crossentropy" if target.labels else "mse"


def _metrics(target: Target) -> list[str]:
    # Of a number that training has normalized, only what has no unit says something on the way.
    return ["accuracy"] if target.labels else ["r2_score"]


def _scaled(target: Target, part: Part) -> object:
    """Return targets as the network learns them: class numbers, or numbers of ordinary size."""
    if target.task == "classification":
        return part.y
    return ((part.y - target.mean) / target.scale).astype("float32")


def _validation(problem: Problem) -> tuple[object, object] | None:
    if problem.validation is None:
        return None
    return problem.validation.x, _scaled(problem.target, problem.validation)


def finished_model(core: Sequential, problem: Problem, settings: Settings) -> Sequential:
    """Return the model that takes raw rows and answers in the target's units."""
    target = problem.target
    after = [] if target.labels else [Rescaling(target.scale, target.mean, name="units")]
    model = core
    if problem.host or after:
        first: Sequence[Layer] = [problem.host] if problem.host else []
        shape = () if problem.host else problem.training.x.shape[1:]
        model = Sequential([Input(shape), *first, *core.layers, *after], name=problem.name)
        model.compile(_optimizer(settings), loss=_loss(target), metrics=_metrics(target))
    model.label_names = list(target.labels) or None
    model.metadata = {"data": problem.name, "target": target.get_config()}
    return model


def _results(problem: Problem, model: Sequential) -> list[str]:
    """Return how good the model is on the rows that it did not learn from."""
    trivial = trivial_answer(problem.target, problem.training.y)
    parts = {"Validation": problem.validation, "Test": problem.test}
    lines: list[str] = []
    for what, part in parts.items():
        if part is not None:
            outputs = model.predict(part.raw, verbose=0)
            if isinstance(outputs, list):
                raise DataError("a model with several outputs cannot be measured here")
            lines += result_lines(what, problem.target, part.y, outputs, trivial)
    return lines or ["nothing was held out (--validation 0), so there is no measured result"]


def _files(folder: Path) -> str:
    names = (runs.MODEL, runs.HISTORY, runs.CONFIG, runs.CURVES)
    return ", ".join(name for name in names if (folder / name).exists())
