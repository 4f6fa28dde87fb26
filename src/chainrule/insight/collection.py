"""The runs below a folder as the dashboard shows them: found anew each time, read as they grow."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from chainrule.errors import FileError
from chainrule.insight import control
from chainrule.insight.record import RunRecord, find_runs, is_alive
from chainrule.insight.record_file import ABOUT, ARRAYS, EVENTS, FINAL, STATUS, plain
from chainrule.paths import path_of

T = TypeVar("T")

MOST = 500  # runs shown, the newest
_OPEN = 12  # records kept in memory
_SMALL, _LARGE = 16 << 20, 1 << 30  # bytes of a file read as a whole, and of one that grows
_LIMITS = {ABOUT: _SMALL, STATUS: _SMALL, FINAL: _SMALL, EVENTS: _LARGE, ARRAYS: _LARGE}
_LISTEN = 1.0  # seconds for which a list of folders holds
ACTIVE = ("running", "paused")


class NoRunError(FileError):
    """A run that is not there, or no longer."""


class EndedError(NoRunError):
    """A run that is there, but has ended."""


class Runs:
    """The runs in a folder and the two levels below it, by their paths in it.

    Parameters
    ----------
    folder : path-like
        Of runs, or of one; it may be made later.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.insight.collection import Runs
    >>> Runs(tempfile.mkdtemp()).overview()
    {'runs': [], 'left_out': 0}
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = path_of("folder", folder).resolve()
        if self.folder.exists() and not self.folder.is_dir():
            raise FileError(f"{os.fspath(folder)!r} is a file; expected a folder of runs")
        self._lock = threading.Lock()
        self._listed = -_LISTEN
        self._folders: dict[str, Path] = {}
        self._records: OrderedDict[str, _Kept] = OrderedDict()
        self._files = _Files()

    def folders(self) -> dict[str, Path]:
        """Return the folders of the runs by name, the newest first."""
        with self._lock:
            if time.monotonic() - self._listed >= _LISTEN:
                self._folders = dict(self._found())
                self._listed = time.monotonic()
            return self._folders

    def _found(self) -> list[tuple[str, Path]]:
        found = []
        for folder in _listed(self.folder):
            real = folder.resolve()
            # A link may lead to another run in here, but not out.
            name = _name(folder, self.folder)
            if real.is_relative_to(self.folder) and _sound(real) and _is_text(name):
                found.append((name, real))
        return found

    def folder_of(self, name: str) -> Path:
        """Return the folder of a run.

        Raises
        ------
        NoRunError
            Where no run has this name: names are looked up, never made into paths.
        """
        folder = self.folders().get(name)
        if folder is None or not _sound(folder):
            raise NoRunError(f"there is no run {name[:80]!r}")
        return folder

    def version(self, name: str) -> str:
        """Return a text that changes whenever anything about a run does."""
        folder = self.folder_of(name)
        return _version(folder, [str(self._alive(folder))])

    def versions(self, names: Sequence[str]) -> dict[str, str]:
        """Return the versions of those runs that are there, by name."""
        found: dict[str, str] = {}
        for name in names:
            with suppress(NoRunError):
                found[name] = self.version(name)
        return found

    def overview(self) -> dict[str, Any]:
        """Return what is known of all runs without reading how they went."""
        folders = list(self.folders().items())
        shown = [told for name, folder in folders[:MOST] if (told := self._told(name, folder))]
        return {"runs": shown, "left_out": max(0, len(folders) - MOST)}

    def with_record(self, name: str, use: Callable[[RunRecord], T]) -> T:
        """Return what a function makes of the record of a run, which no other thread reads then.

        Raises
        ------
        NoRunError
            Where there is no such run, or it was removed while it was read.
        """
        found = self._kept(name, self.folder_of(name))
        with found.lock, self._checked(name, found.folder):
            return use(found.read())

    def with_records(
        self, names: Sequence[str], use: Callable[[list[tuple[str, RunRecord]]], T]
    ) -> T:
        """Return what a function makes of the records of several runs; those that are not there, or
        cannot be read, are left out.

        Parameters
        ----------
        names : sequence of str
            Of the runs.
        use : callable
            Given their names and records.
        """
        with ExitStack() as locks:
            read: dict[str, RunRecord] = {}
            for name in sorted(set(names)):  # in one order, so that no two wait for each other
                with suppress(FileError):
                    found = self._kept(name, self.folder_of(name))
                    locks.enter_context(found.lock)
                    with self._checked(name, found.folder):
                        read[name] = found.read()
            return use([(name, read[name]) for name in names if name in read])

    @contextmanager
    def _checked(self, name: str, folder: Path) -> Iterator[None]:
        """Say of a record that cannot be read whether it is damaged or was removed."""
        try:
            yield
        except (FileError, LookupError, ValueError, TypeError, AttributeError) as error:
            with self._lock:
                self._records.pop(name, None)
            if not _sound(folder):
                raise NoRunError(f"there is no run {name[:80]!r} any more") from None
            raise FileError(f"the record of {name[:80]!r} cannot be read: {error}") from error

    def _kept(self, name: str, folder: Path) -> _Kept:
        with self._lock:
            kept = self._records.get(name)
            if kept is None or kept.folder != folder:
                kept = self._records[name] = _Kept(folder)
            self._records.move_to_end(name)
            while len(self._records) > _OPEN:
                self._records.popitem(last=False)
            return kept

    def send(self, name: str, command: Mapping[str, Any]) -> None:
        """Ask a run for something.

        Raises
        ------
        NoRunError
            Where there is no such run, or it has ended.
        ArgumentError
            For what is no command.
        """
        command = control.checked(command)
        folder = self.folder_of(name)
        if not self._alive(folder):
            raise EndedError(f"the run {name[:80]!r} has ended")
        try:
            control.send(folder, **command)
        except FileError as error:
            raise EndedError(str(error)) from None

    def _alive(self, folder: Path) -> bool:
        return state_of(self._files.read(folder / STATUS)) in ACTIVE

    def _told(self, name: str, folder: Path) -> dict[str, Any] | None:
        """Return what the list shows of a run; ``None`` where it was removed meanwhile."""
        about, status = self._files.read(folder / ABOUT), self._files.read(folder / STATUS)
        if not about:
            return None
        keys = ("epoch", "epochs", "batch", "steps", "logs", "elapsed", "updated", "learning_rate")
        where = {key: status.get(key) for key in keys}
        told = {"name": name, "state": state_of(status), "begun": about.get("clock")}
        found: dict[str, Any] = plain({**told, **where, "model": _network(about)})
        return found


class _Files:
    """Files of JSON that are replaced as a whole, read again only where they were."""

    def __init__(self) -> None:
        self._kept: dict[Path, tuple[tuple[int, ...], dict[str, Any]]] = {}

    def read(self, path: Path) -> dict[str, Any]:
        """Return what a file holds; nothing where there is none, or it holds something else."""
        found = _stat(path)
        mark = () if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
        kept = self._kept.get(path)
        if kept is None or kept[0] != mark:
            kept = mark, _json(path)
            if len(self._kept) > 4 * MOST:
                self._kept.clear()
            self._kept[path] = kept
        return kept[1]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class _Kept:
    """A record and who reads it now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self._record: RunRecord | None = None

    def read(self) -> RunRecord:
        """Return the record as it is now."""
        if self._record is None:
            self._record = RunRecord(self.folder)
        else:
            self._record.refresh()
        return self._record


def _listed(folder: Path) -> Sequence[Path]:
    for _ in range(3):
        try:
            return find_runs(folder)
        except OSError:  # one was removed while they were listed
            continue
    return []


def _name(folder: Path, root: Path) -> str:
    path = folder.relative_to(root).as_posix()
    return root.name if path == "." else path


def _is_text(name: str) -> bool:
    """Return whether a name can be written as text: those of folders may be any bytes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _sound(folder: Path) -> bool:
    """Return whether a folder holds a record of plain files that are not too large to read."""
    found = {name: _stat(folder / name) for name in _LIMITS}
    if found[ABOUT] is None:
        return False
    return all(
        s is None or (stat.S_ISREG(s.st_mode) and s.st_size <= _LIMITS[name])
        for name, s in found.items()
    )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _version(folder: Path, more: Sequence[str] = ()) -> str:
    stats = [_stat(folder / name) for name in _LIMITS]
    parts = ["-" if s is None else f"{s.st_mtime_ns:x}.{s.st_size:x}.{s.st_ino:x}" for s in stats]
    return "_".join([*parts, *more])


def state_of(status: Mapping[str, Any]) -> str:
    """Return the state that a status says, and ``"interrupted"`` where nobody is there any more.

    Examples
    --------
    >>> from chainrule.insight.collection import state_of
    >>> state_of({"state": "finished"})
    'finished'
    """
    state = str(status.get("state", "interrupted"))
    return state if state not in ACTIVE or is_alive(status) else "interrupted"


def _network(about: Mapping[str, Any]) -> dict[str, Any]:
    model = about.get("model")
    model = model if isinstance(model, Mapping) else {}
    return {key: model.get(key) for key in ("name", "kind", "parameters")}
