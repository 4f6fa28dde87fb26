"""Asking a run in another process to pause, go on, end, or lower its learning rate.

While a run listens there is a file ``commands.jsonl`` in its folder. Who wants something adds a
line of JSON to it (`send`), and the run looks at the file's size about ten times a second
(`Control`); so the run waits for nobody, and goes on where whoever sent the command is gone.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chainrule.errors import ArgumentError, FileError, unknown_name
from chainrule.graph import Variable
from chainrule.optimizers.schedules import Scaled
from chainrule.paths import path_of

if TYPE_CHECKING:
    from chainrule.models.model import Model

COMMANDS = ("pause", "resume", "stop", "learning_rate")
FILE = "commands.jsonl"
PACE = 0.1  # seconds between two looks, as progress has it
_MOST = 1 << 20  # bytes of commands in a run: thousands
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Tell(Protocol):
    """Who is told what was carried out, at once: the run's record."""

    def __call__(self, command: str, **facts: Any) -> None:
        """Take in a command and what it did."""


def checked(command: object) -> dict[str, Any]:
    """Return a command that can be carried out.

    Parameters
    ----------
    command : object
        ``{"command": "pause"}``, ``"resume"`` or ``"stop"``, or ``{"command": "learning_rate",
        "factor": 0.5}``, the factor above 0 and below 1.

    Raises
    ------
    ArgumentError
        For anything else.

    Examples
    --------
    >>> from chainrule.insight.control import checked
    >>> checked({"command": "pause", "more": 1})
    {'command': 'pause'}
    """
    given = command if isinstance(command, Mapping) else {}
    name = given.get("command")
    if name not in COMMANDS:
        raise unknown_name("command", str(name)[:40], COMMANDS)
    if name != "learning_rate":
        return {"command": name}
    factor = given.get("factor")
    if not isinstance(factor, int | float) or not 0.0 < factor < 1.0:  # True is 1
        raise ArgumentError(f"factor is {str(factor)[:40]}; expected a number between 0 and 1")
    return {"command": name, "factor": float(factor)}


def send(folder: str | os.PathLike[str], command: str, **arguments: Any) -> None:
    """Ask the run that writes into a folder for something; it will within a tenth of a second.

    Parameters
    ----------
    folder : path-like
        Of the run.
    command : {"pause", "resume", "stop", "learning_rate"}
        The last with ``factor``, above 0 and below 1, that the rate is multiplied by.

    Raises
    ------
    ArgumentError
        For an unknown command, or a factor out of range.
    FileError
        Where no run listens in that folder.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.insight.control import Control, send
    >>> folder = tempfile.mkdtemp()
    >>> control = Control(folder)
    >>> control.begin()
    >>> send(folder, "learning_rate", factor=0.5)
    >>> control.commands()
    [{'command': 'learning_rate', 'factor': 0.5}]
    """
    line = json.dumps(checked({"command": command, **arguments}))
    try:
        _append(path_of("folder", folder), f"\n{line}\n".encode())
    except OSError as error:
        why = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror or error})"
        raise FileError(f"no run listens in {str(folder)!r}{why}: has it ended?") from None


def _append(folder: Path, text: bytes) -> None:
    """Add to the file of commands, which must be there, and nothing else in its place."""
    # By the folder's handle, and never through a link: what a run's folder holds may be anything.
    holder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = os.open(FILE, os.O_WRONLY | os.O_APPEND | _FLAGS, dir_fd=holder)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST:
                raise OSError("its file of commands is none, or full")
            os.write(file, text)  # one call: lines of two senders never mix
        finally:
            os.close(file)
    finally:
        os.close(holder)


class Control:
    """What a run does about the commands it is sent: `look` between batches carries them out.

    Nothing about the weights changes but by a lower learning rate: a run that was paused ends with
    the same bits as one that was not. While it is paused, Ctrl-C ends it as at any other time; and
    where its folder is removed, it goes on.

    Parameters
    ----------
    folder : path-like
        Of the run; it exists when `begin` is called.
    tell : callable, optional
        Called with the name of a command that was carried out, and what it did as keywords:
        ``factor``, ``before`` and ``after`` for a learning rate; ``seconds`` for a pause that ends.

    Attributes
    ----------
    paused : bool
        Whether it waits to be told to go on.
    factor : float
        What a learning rate that follows a schedule was multiplied by so far.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.callbacks import Callback
    >>> from chainrule.insight.control import Control, send
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> class Listener(Callback):
    ...     def on_train_begin(self, logs=None):
    ...         self.control = Control(tempfile.mkdtemp(), lambda command, **facts: print(command))
    ...         self.control.begin()
    ...         send(self.control.folder, "stop")
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.control.look(self.model)
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0, 1.0]], [1.0], epochs=9, verbose=0, callbacks=Listener())
    stop
    >>> history.epoch
    [0]
    """

    def __init__(self, folder: str | os.PathLike[str], tell: Tell | None = None) -> None:
        self.folder = path_of("folder", folder)
        self.path = self.folder / FILE
        self.tell: Tell = tell or _nobody
        self.paused = False
        self.factor = 1.0
        self._read = 0
        self._looked = -math.inf

    def begin(self) -> None:
        """Listen from now on; what was sent before is forgotten.

        Raises
        ------
        FileError
            Where the folder cannot be written.
        """
        self.paused, self.factor, self._read = False, 1.0, 0
        try:
            # A new file: whoever still writes to that of a run that was killed is not heard.
            self.path.unlink(missing_ok=True)
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o644))
        except OSError as error:
            text = f"cannot write {str(self.path)!r}: {error.strerror or error}"
            raise FileError(text) from error

    def end(self) -> None:
        """Listen no more: who sends something is told so."""
        self.paused = False
        # A folder that can be written no more has nothing to do with how a run ends.
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def get_state(self) -> dict[str, Any]:
        """Return what a run that goes on in another process must know."""
        return {"factor": self.factor}

    def set_state(self, state: Mapping[str, Any], model: Model) -> None:
        """Go on from such a state: a schedule is scaled as it was."""
        factor = float(state["factor"])
        if factor != self.factor:
            _slow(model, factor / self.factor)
            self.factor = factor

    def look(self, model: Model) -> None:
        """Carry out what was sent, looking every tenth of a second at most; wait while paused."""
        now = time.monotonic()
        if now - self._looked < PACE:
            return
        self._obey(model)
        begun = time.monotonic()
        while self.paused and not model.stop_training:
            time.sleep(PACE)
            self._obey(model, time.monotonic() - begun)
        self.paused = False
        self._looked = time.monotonic()

    def commands(self) -> list[dict[str, Any]]:
        """Return what was sent since the last time; lines that are no command are passed over."""
        try:
            size = os.stat(self.path).st_size
            if size == self._read:
                return []
            if size < self._read:  # somebody emptied it
                self._read = 0
            with open(self.path, "rb") as file:
                file.seek(self._read)
                text = file.read(_MOST)
        except OSError:  # it was removed: nobody can say any more that the run may go on
            return [{"command": "resume"}]
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        return [found for line in whole.splitlines() if (found := _parsed(line)) is not None]

    def _obey(self, model: Model, seconds: float = 0.0) -> None:
        for command in self.commands():
            name = command["command"]
            if name == "learning_rate":
                self._lower(model, command["factor"])
            elif name == "stop":
                model.stop_training = True
                self.tell("stop")
            elif self.paused != (name == "pause"):
                self.paused = name == "pause"
                self.tell(name, **({} if self.paused else {"seconds": round(seconds, 3)}))

    def _lower(self, model: Model, factor: float) -> None:
        before = rate_now(model)
        if before is None:
            return
        if isinstance(model.optimizer.learning_rate, Variable):
            model.optimizer.learning_rate = before * factor
        else:
            _slow(model, factor)
            self.factor *= factor
        self.tell("learning_rate", factor=factor, before=before, after=rate_now(model))


def rate_now(model: Model) -> float | None:
    """Return the learning rate of the next step, of a schedule too; ``None`` without an optimizer.

    Examples
    --------
    >>> from chainrule.insight.control import rate_now
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> from chainrule.optimizers import SGD
    >>> from chainrule.optimizers.schedules import LinearDecay
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile(SGD(LinearDecay(0.5, decay_steps=10)), "mse")
    >>> rate_now(model)
    0.5
    """
    return None if model.optimizer is None else float(model.optimizer._rate_now())


def _slow(model: Model, factor: float) -> None:
    """Multiply what a schedule gives, from the next window of batches on."""
    rate = model.optimizer.learning_rate
    schedule, before = (rate.schedule, rate.factor) if isinstance(rate, Scaled) else (rate, 1.0)
    model._compiled_trainer("a lower learning rate").follow(Scaled(schedule, before * factor))


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        return checked(json.loads(line))
    except (ValueError, RecursionError):  # an ArgumentError among them
        return None


def _nobody(command: str, **facts: Any) -> None:
    """Take in nothing."""
