"""Compiling, fitting, evaluating and predicting: what a model does with data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chainrule.data import iterables
from chainrule.data.source import First, Source
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.models.batchwise import in_order
from chainrule.models.feeding import Call, Feeding
from chainrule.models.memory import bytes_of
from chainrule.models.prepared import WIDE, whole
from chainrule.models.trained import Training
from chainrule.training import loop
from chainrule.training.history import History
from chainrule.training.hooks import Callback, CallbackList, Logs
from chainrule.training.progress import Progress, mode_of
from chainrule.training.trainer import Trainer

_ONCE = (
    "a generator can be gone through but once, and more than one epoch is asked for\n"
    "  fix: say how many batches are an epoch (steps_per_epoch), or pass a function that\n"
    "       returns a new generator, which is called for each epoch"
)

Callbacks = Iterable[Callback] | Callback | None


class Fitting(Feeding):
    """The half of `Model` that works on data; `Model` adds structure, weights and files."""

    history: History | None = None
    stop_training: bool = False
    # How far the model was trained, where its file could not say how it was compiled.
    _training: Training | None = None

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        loss_weights: float | Sequence[float] | Mapping[str, float] | None = None,
        metrics: Sequence[Any] | Mapping[str, Any] | None = None,
        weighted_metrics: Sequence[Any] | Mapping[str, Any] | None = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        *,
        memory_limit: int | str | None = None,
    ) -> None:
        """Choose how the model learns: optimizer, loss, and what is measured on the way.

        Parameters
        ----------
        optimizer : str or Optimizer, default "adam"
            A rule by name (with its defaults) or made by hand.
        loss : str, Loss or callable
            What is minimized; a callable takes ``(y_true, y_pred)`` and returns one loss a sample.
            For several outputs, a list in their order or a dict by their names; one alone counts
            for each. An output without a loss (``None``, or not named) is not trained.
        loss_weights : float, or sequence or mapping of them, optional
            The factor of each loss in the sum that is minimized; for one output a number.
        metrics : sequence of str, Metric or callable, optional
            What is measured beside the loss. ``"accuracy"`` becomes the accuracy that fits the
            loss and the output. For several outputs, one or a list for each, in a list or by name.
        weighted_metrics : sequence, optional
            The same, but heeding `sample_weight` and `class_weight`.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Accepted for Keras's sake, and without effect: steps are always planned as a whole, and
            many of them run at a stretch.
        memory_limit : int or str, optional
            The bytes that training may take, or e.g. ``"64MB"``: the total of `memory`. Layers are
            computed again for the backward pass as far as it takes, and the bits stay as they are;
            where nothing helps, `fit` and `memory` raise a `MemoryLimitError` that says how much
            is missing. It holds for the steps of `fit`, not for a `train_step` of your own.

        Raises
        ------
        ArgumentError
            For a name that does not exist, naming the nearest.

        Examples
        --------
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((4,)), Dense(3, activation="softmax")])
        >>> model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        """
        # Everything that can fail comes first: a refused call leaves the model as it was.
        trainer = Trainer(
            self._model(),
            optimizer,
            loss,
            metrics or (),
            weighted_metrics or (),
            loss_weights,
            bytes_of(memory_limit),
        )
        if self._training is not None and trainer.optimizer is not None:
            self._training.go_on_in(trainer)
            self._training = None
        self._trainer = trainer

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callbacks = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train by back-propagation: for each batch, weights move against the loss's mean gradient.

        Shapes
        ------
        x : [n, *s], y : [n] or [n, *t], sample_weight : [n]

        Parameters
        ----------
        x, y : array_like
            Samples and targets: NumPy, lists, pandas, Polars, Arrow, torch. Read where they lie.
            For a model with several inputs or outputs, a list of them in order, or a dict by the
            names of its inputs and outputs; likewise `sample_weight` and `validation_data`.

            Data larger than memory: memory maps; a path to ``.npy``, ``.npz``, Parquet or Arrow
            files (`y` is then the name of the column to be learnt) or `data.open`; images in
            folders (`utils.image_dataset_from_directory`); and what makes
            batches ``(x, y)`` or ``(x, y, sample_weight)`` (then without `y`): a generator, a
            function that returns one, any iterable, a PyTorch ``DataLoader``, an object with
            ``__len__`` and ``__getitem__`` such as Keras's ``PyDataset``.
        batch_size : int, default 32
            From 1 to all samples; the last batch of an epoch has what remains. Not for what makes
            batches itself.
        epochs : int, default 1
            The number of the last epoch; with `initial_epoch` 0, how many are run.
        verbose : {"auto", 0, 1, 2}, default "auto"
            0 silent, 1 a live line (in a terminal or a notebook), 2 a line an epoch, and one a
            minute where it takes longer; "auto" is 1 in a terminal or a notebook, else 2.
        callbacks : iterable of Callback, optional
            Called on the way.
        validation_split : float, default 0
            This share of the samples, from the end, is held out and evaluated after each epoch.
        validation_data : tuple ``(x, y)`` or ``(x, y, sample_weight)``, optional
            Evaluated after each epoch; has precedence over `validation_split`. Or anything else
            that `x` may be.
        shuffle : bool, default True
            Whether each epoch visits the samples in another order, which is a function of the
            model's seed and the epoch; of a ``PyDataset``, the batches. What an iterable yields
            comes in its own order.
        class_weight : mapping of int to float, optional
            A factor for the loss of each class's samples; those held out for validation have none.
        sample_weight : array_like, optional
            A factor for the loss of each sample.
        initial_epoch : int, default 0
            Where counting starts, to continue an earlier run.
        steps_per_epoch : int, optional
            Batches of an epoch, which goes on where the one before ended; by default all. Needed
            for generators that do not end, and for more than one epoch of a generator.
        validation_steps : int, optional
            Batches of a validation: the first ones, but of a generator those that come next.
        validation_batch_size : int, optional
            Samples at a time in validation.
        validation_freq : int or sequence of int, default 1
            Validate every so many epochs, or after these (counted from 1).

        Returns
        -------
        History
            The loss and metrics after each epoch.

        Raises
        ------
        DataError
            For data that cannot be trained on: NaN, labels out of range, unequal lengths, text.
        ShapeError
            For data that does not fit the model.
        NotBuiltError
            Before `compile`.

        Notes
        -----
        A call that fails leaves the model as it was. Ctrl-C stops between two batches and leaves
        the weights of that moment, ready for use.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((2,)), Dense(1)])
        >>> model.compile(loss="mse")
        >>> history = model.fit(np.zeros((8, 2)), np.ones(8), epochs=2, verbose=0)
        >>> len(history.history["loss"])
        2
        """
        trainer = self._compiled_trainer("fit")
        last, begin = whole("epochs", epochs, 0), whole("initial_epoch", initial_epoch, 0)
        if steps_per_epoch is None and last - begin > 1 and iterables.is_once(x):
            raise ArgumentError(_ONCE)
        call = Call.of_fit(batch_size, steps_per_epoch, class_weight)
        checked = Call.of_validation(validation_batch_size, validation_steps)
        size = 32 if call.batch_size is None else call.batch_size
        validates = validation_data is not None or validation_split
        wide = checked.size(self._wide(None, size) if validates else size)
        share = validation_split if validation_data is None else 0.0
        training, validation = self._sources(call, x, y, sample_weight, size, share)
        if validation_data is not None:
            validation = self._held_out(validation_data, checked, wide, y)
        elif validation is not None and checked.steps is not None:
            validation = First(validation, checked.steps, wide)
        schedule = loop.Schedule(
            batch_size=training.batch(size),
            epochs=last,
            initial_epoch=begin,
            shuffle=bool(shuffle),
            validation_batch_size=wide,
            validation_freq=_frequency(validation_freq),
        )
        self._build_for(training.sample.x)
        return self._run_fit(trainer, training, validation, schedule, callbacks, mode_of(verbose))

    def _run_fit(
        self,
        trainer: Trainer,
        training: Source,
        validation: Source | None,
        schedule: loop.Schedule,
        callbacks: Callbacks,
        mode: int,
    ) -> History:
        """Run the loop with its callbacks; the history is filled in even if it is interrupted."""
        history = History()
        steps = training.steps(schedule.batch_size)
        params = {"epochs": schedule.epochs, "steps": steps, "verbose": mode}
        hooks = CallbackList([*CallbackList(callbacks).callbacks, history], self._model(), params)
        self.history, self.stop_training = history, False
        progress = Progress(mode, schedule.epochs)
        loop.fit(trainer, training, validation, schedule, hooks, progress)
        return history

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the numbers of the `metrics` by name, as they are now: for a `train_step`."""
        found: dict[str, Any] = {}
        for metric in self._model().metrics:
            result = metric.result()
            found |= result if isinstance(result, Mapping) else {metric.name: result}
        return found

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Callbacks = None,
        return_dict: bool = False,
    ) -> float | list[float] | Logs:
        """Return the mean loss and the metrics over samples, with the weights as they are.

        Shapes
        ------
        x : [n, *s], y : [n] or [n, *t], sample_weight : [n]

        Parameters
        ----------
        x, y : array_like
            Samples and targets, of all kinds that `fit` takes.
        batch_size : int, optional
            Samples at a time; the result does not depend on it beyond rounding. By default as many
            as run fast (256), or 32 where `steps` are counted.
        verbose : {"auto", 0, 1, 2}, default "auto"
            As in `fit`.
        sample_weight : array_like, optional
            A factor for the loss of each sample.
        steps : int, optional
            Only so many batches, the first ones; needed for generators that do not end.
        callbacks : iterable of Callback, optional
            Called on the way.
        return_dict : bool, default False
            Whether to return the numbers by name.

        Returns
        -------
        float, list of float, or dict
            The loss alone where there are no metrics, else ``[loss, *metrics]``.

        Raises
        ------
        DataError, ShapeError, NotBuiltError
            As `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((2,)), Dense(1, kernel_initializer="zeros")])
        >>> model.compile(loss="mse")
        >>> model.evaluate(np.zeros((8, 2)), np.ones(8), verbose=0)
        1.0
        """
        trainer = self._compiled_trainer("evaluate")
        call = Call.of("evaluate", batch_size, steps)
        size = call.size(self._wide(None))
        source = self._source(call, x, y, sample_weight, size)
        self._build_for(source.sample.x)
        hooks = CallbackList(callbacks, self._model(), {"verbose": verbose})
        trainer.refresh()
        try:
            with Progress(mode_of(verbose), title="evaluate") as progress:
                logs = loop.measure(trainer, source, size, hooks, progress)
                progress.end(logs)
        finally:
            trainer.release()
        return in_order(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Callbacks = None,
    ) -> Array | list[Array]:
        """Return the model's output for each sample.

        Shapes
        ------
        x : [n, *s]; returned : [n, *t]

        Parameters
        ----------
        x : array_like
            Samples, of all kinds that `fit` takes (of batches only the first part is used); a NaN
            in one makes that row of the result NaN.
        batch_size : int, optional
            Samples at a time; by default as many as run fast (256), or 32 with `steps`.
        verbose : {"auto", 0, 1, 2}, default "auto"
            As in `fit`; only a terminal or a notebook is shown anything.
        steps : int, optional
            Only so many batches, the first ones; needed for generators that do not end.
        callbacks : iterable of Callback, optional
            Called on the way.

        Returns
        -------
        numpy.ndarray, or a list (or dict, as the model was made) of them for several outputs

        Raises
        ------
        DataError, ShapeError
            For samples that are not numbers or do not fit the model.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((2,)), Dense(3)])
        >>> model.predict(np.zeros((8, 2)), verbose=0).shape
        (8, 3)
        """
        trainer = self._any_trainer()
        call = Call.of("predict", batch_size, steps)
        size = call.size(self._wide(None) if self.goes_on() else WIDE)
        source = self._source(call, x, None, None, size)
        self._build_for(source.sample.x)
        hooks = CallbackList(callbacks, self._model(), {"verbose": verbose})
        mode = 1 if mode_of(verbose) == 1 else 0
        trainer.refresh()
        try:
            with Progress(mode, title="predict") as progress:
                outputs = loop.predict(trainer, source, size, hooks, progress)
        finally:
            trainer.release()
        shaped: Array | list[Array] = self._model().shaped(outputs)
        return shaped


def _frequency(value: int | Sequence[int]) -> int | Sequence[int]:
    if isinstance(value, list | tuple | set | range):
        return [whole("validation_freq", v) for v in value]
    return whole("validation_freq", value)
