"""``chainrule train``: from data to a run folder."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from chainrule import optimizers
from chainrule.callbacks import Callback, EarlyStopping, GradientDoctor, RunRecorder
from chainrule.cli import (
    mistakes,
    networks,
    recipes,
    recording,
    runs,
    sound_networks,
    text_networks,
)
from chainrule.cli.posed import Array, Part, Problem
from chainrule.cli.problem import make_problem
from chainrule.cli.results import result_lines, trivial_answer
from chainrule.cli.settings import Settings
from chainrule.cli.sources import is_named, open_source
from chainrule.data.folders import SampleFolder
from chainrule.data.targets import Target
from chainrule.errors import DataError
from chainrule.layers import Dense, Dropout, Input, Layer, Rescaling
from chainrule.models import Sequential
from chainrule.optimizers import Optimizer
from chainrule.optimizers.schedules import OneCycle
from chainrule.training.progress import duration
from chainrule.utils import set_random_seed

_MANY_HELD_OUT = 1000  # from which accuracy is fine enough to choose an epoch by


@dataclass(frozen=True)
class Outcome:
    """What training gave: a model that takes raw rows, and what was measured on the way."""

    model: Sequential
    history: runs.History
    interrupted: bool


def run(settings: Settings, output: str | None, doctor: bool = False) -> None:
    """Train as asked, print the result, and leave it in a folder; with a doctor, say what is wrong
    with the run."""
    problem = make_problem(open_source(settings.data), settings)
    settings = _resolved(settings, problem)
    for line in [*problem.notes, _target_line(problem.target), _rows_line(problem)]:
        click.echo(line)
    # Made before training: a place that cannot be written must not cost the run.
    with runs.run_folder(problem.name, output) as folder:
        record = recording.recorder(folder, problem, settings)
        doctors = [GradientDoctor()] if doctor else []
        outcome = train(problem, settings, [*doctors, record])
        outcome.model.save(folder / runs.MODEL)
        notes = runs.write_record(folder, settings, outcome.history)
        lines, more = _results(problem, outcome.model, folder, record)
        saved = f"saved in {folder}/: {_files(folder)}"
        shown = f"to see how it went: chainrule report {shlex.quote(str(folder))}"
    for line in [*_told(doctors), *lines, *notes, *more, saved, shown]:
        click.echo(line)
    if outcome.interrupted:
        click.get_current_context().exit(130)


def _resolved(settings: Settings, problem: Problem) -> Settings:
    """Return the settings with everything that was left open as it was decided."""
    rows, convolutional = len(problem.training.y), problem.convolutional(settings)
    learnt = any(given is not None for given in (problem.images, problem.sounds, problem.text))
    data = settings.data if is_named(settings.data) else str(Path(settings.data).resolve())
    held = 0 if problem.validation is None else len(problem.validation.y)
    share = recipes.held_out_share(settings, rows + held, learnt)
    settings = replace(settings, data=data, task=problem.target.task, validation=share)
    if problem.text is not None:
        return text_networks.decided(settings, rows)
    if problem.recurrent(settings):
        return sound_networks.decided(settings, rows)
    return recipes.decided(settings, rows, convolutional)


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


def train(problem: Problem, settings: Settings, watching: Sequence[Callback]) -> Outcome:
    """Return the outcome of one run; Ctrl-C ends it early with the best weights so far."""
    set_random_seed(settings.seed)
    core = build_network(problem, settings)
    if problem.convolutional(settings):
        click.echo(networks.described(core, settings))
    if problem.text is not None:
        click.echo(text_networks.described(core, settings))
    if problem.recurrent(settings):
        click.echo(sound_networks.described(core, settings))
    optimizer = _optimizer(settings, problem)
    core.compile(optimizer, loss=_loss(problem.target), metrics=_metrics(problem.target))
    stop = EarlyStopping(
        monitor=_watched(problem, settings),
        patience=settings.patience or 0,
        restore_best_weights=True,
        verbose=1,
    )
    interrupted = False
    began = time.perf_counter()
    x, y = _fed(problem, problem.training)
    try:
        core.fit(
            x,
            y,
            batch_size=settings.batch_size,
            epochs=settings.epochs or 1,
            callbacks=[stop, *watching],
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
    last = (
        Dense(len(target.labels), activation="softmax", name="classes")
        if target.task == "classification"
        else Dense(1, name="value")
    )
    hidden = _hidden(problem, settings)
    return Sequential([Input(problem.shape), *problem.inputs, *hidden, last], name=problem.name)


def _hidden(problem: Problem, settings: Settings) -> list[Layer]:
    """Return the layers between what brings samples into form and the target's own units."""
    if problem.text is not None:
        return text_networks.reading(problem.text, settings)
    if problem.sounds is not None and settings.hidden is None:
        return sound_networks.hidden(problem.sounds, settings)
    if problem.images is None or not problem.convolutional(settings):
        return _dense(settings)
    size, recipe = problem.images.form.size or (1, 1), recipes.recipe_of(settings)
    return networks.convolutions(size, recipe, settings.activation, settings.dropout or 0.0)


def _dense(settings: Settings) -> list[Layer]:
    """Return the hidden layers that the settings name."""
    hidden: list[Layer] = []
    for place, units in enumerate(settings.hidden or (), 1):
        hidden.append(Dense(units, activation=settings.activation, name=f"hidden_{place}"))
        if settings.dropout:
            hidden.append(Dropout(settings.dropout, name=f"dropout_{place}"))
    return hidden


def _watched(problem: Problem, settings: Settings) -> str:
    """Return the number by which the best epoch is chosen."""
    held = problem.validation
    if held is None:
        return "loss"
    many = len(held.y) >= _MANY_HELD_OUT and problem.target.task == "classification"
    learnt = problem.text is not None or problem.convolutional(settings)
    learnt = learnt or problem.recurrent(settings)
    return "val_accuracy" if many and learnt else "val_loss"


def _optimizer(settings: Settings, problem: Problem) -> Optimizer:
    """Return the optimizer by its name, with the learning rate asked for.

    Networks for images and sounds learn in one cycle of it.
    """
    optimizer = optimizers.get(settings.optimizer or "adam")
    if settings.learning_rate is None:
        return optimizer
    recurrent = problem.recurrent(settings)
    if not recurrent and not problem.convolutional(settings):
        return type(optimizer)(learning_rate=settings.learning_rate)
    steps = -(-len(problem.training.y) // (settings.batch_size or 1)) * (settings.epochs or 1)
    rate = OneCycle(settings.learning_rate, max(steps, 2), recipes.RISE)
    recipe = sound_networks.recipe_of(settings) if recurrent else recipes.recipe_of(settings)
    decay = recipe.weight_decay
    return type(optimizer)(learning_rate=rate, weight_decay=decay)


def _loss(target: Target) -> str:
    return "sparse_categorical_crossentropy" if target.labels else "mse"


def _metrics(target: Target) -> list[str]:
    # Of a number that training has normalized, only what has no unit says something on the way.
    return ["accuracy"] if target.labels else ["r2_score"]


def _fed(problem: Problem, part: Part) -> tuple[Any, Any]:
    """Return samples and targets as `fit` takes them; files and texts by length bring their own."""
    if isinstance(part.x, SampleFolder):
        return part.x, None
    y = _scaled(problem.target, part)
    if problem.text is not None:
        return text_networks.by_length(part.x, y), None
    return part.x, y


def _scaled(target: Target, part: Part) -> Array:
    """Return targets as the network learns them: class numbers, or numbers of ordinary size."""
    if target.task == "classification":
        return part.y
    return ((part.y - target.mean) / target.scale).astype("float32")


def _validation(problem: Problem) -> object:
    if problem.validation is None:
        return None
    x, y = _fed(problem, problem.validation)
    return x if y is None else (x, y)


def finished_model(core: Sequential, problem: Problem, settings: Settings) -> Sequential:
    """Return the model that takes raw rows and answers in the target's units."""
    target = problem.target
    after = [] if target.labels else [Rescaling(target.scale, target.mean, name="units")]
    model = core
    if problem.host or after:
        first: Sequence[Layer] = [problem.host] if problem.host else []
        shape = () if problem.host else problem.shape
        model = Sequential([Input(shape), *first, *core.layers, *after], name=problem.name)
        model.compile(_optimizer(settings, problem), loss=_loss(target), metrics=_metrics(target))
    model.label_names = list(target.labels) or None
    model.metadata = {"data": problem.name, "target": target.get_config()}
    if problem.images is not None:
        model.metadata["images"] = asdict(problem.images.form)
    if problem.sounds is not None:
        model.metadata["sounds"] = problem.sounds.form.get_config()
    if problem.text is not None:
        model.metadata["text"] = problem.text.column
    return model


def _results(
    problem: Problem, model: Sequential, folder: Path, record: RunRecorder
) -> tuple[list[str], list[str]]:
    """Return how good the model is on the rows that it did not learn from.

    Of images and sounds the folder is given what goes wrong with the last part that there is; the
    second list is notes on what could not be drawn.
    """
    trivial = trivial_answer(problem.target, problem.training.y)
    parts = {"Validation": problem.validation, "Test": problem.test}
    lines: list[str] = []
    found = None
    for what, part in parts.items():
        if part is not None:
            outputs = _outputs(model, part)
            lines += result_lines(what, problem.target, part.y, outputs, trivial)
            found = mistakes.Mistakes.of(what.lower(), problem, part, outputs)
            recording.conclude(record, what.lower(), problem, part, outputs)
    if not lines:
        lines = ["nothing was held out (--validation 0), so there is no measured result"]
    if found is None:
        return lines, []
    return [*lines, *found.lines()], mistakes.write(folder, found)


def _outputs(model: Sequential, part: Part) -> Array:
    outputs = model.predict(part.raw, verbose=0)
    if isinstance(outputs, list):
        raise DataError("a model with several outputs cannot be measured here")
    return outputs


def _told(doctors: Sequence[GradientDoctor]) -> list[str]:
    """Return what was found wrong with the run, or that nothing was."""
    found = [f"doctor: {finding}" for doctor in doctors for finding in doctor.findings]
    return found or ["doctor: nothing found that keeps the network from learning"] * len(doctors)


def _files(folder: Path) -> str:
    return ", ".join(name for name in runs.FILES if (folder / name).exists())
