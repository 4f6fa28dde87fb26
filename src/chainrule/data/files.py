"""Samples in files, however many: `open` says what is in them, `fit` reads them by windows."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.arrow import ArrowFile, ParquetFile
from chainrule.data.batches import key
from chainrule.data.blocks import Rows
from chainrule.data.lazily import window_bytes
from chainrule.data.mapped import WINDOW_MB
from chainrule.data.shards import Shard
from chainrule.errors import DataError, FileError

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Columns = str | Sequence[str] | None
Chosen = Columns | Mapping[str, Columns]

_READERS: dict[str, Any] = {
    ".npz": Shard,
    ".parquet": ParquetFile,
    ".pq": ParquetFile,
    ".arrow": ArrowFile,
    ".feather": ArrowFile,
    ".ipc": ArrowFile,
}


class Files:
    """Rows of samples and targets in files; made by `open`, given to `fit` as `x`.

    Attributes
    ----------
    paths : list of Path
        The files, in the order of their names.
    window_bytes : int
        How many bytes are shuffled at a time.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from chainrule import data
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for i in range(3):
    ...     np.savez(folder / f"part{i}.npz", x=np.zeros((4, 2)), y=np.ones(4))
    >>> len(data.open(folder))
    12
    """

    def __init__(
        self, paths: list[Path], groups: Mapping[str, Mapping[str, Columns]], window_bytes: int
    ) -> None:
        self.paths = paths
        self.window_bytes = window_bytes
        self._groups = groups
        kind = _READERS[paths[0].suffix.lower()]
        if kind is not Shard:
            flat = {(k, n): c for k, named in groups.items() for n, c in named.items()}
        else:
            flat = _shard_groups(groups)
        self._keys = list(flat)
        named = {"/".join(k): columns for k, columns in flat.items()}
        self._files = [kind(path, named) for path in paths]
        counts = [len(file.sizes) for file in self._files]
        self._first = np.cumsum(counts) - counts
        self.sizes = np.array([n for file in self._files for n in file.sizes], np.int64)

    def __len__(self) -> int:
        return int(self.sizes.sum())

    def rows(self, block: int, begin: int) -> Iterator[Rows]:
        """Yield the rows of a shard, row group or record batch from number `begin` on."""
        number, inner = self._file(block)
        yield from self._files[number].rows(inner, begin)

    def place(self, row: int) -> str:
        """Return e.g. ``"row 7 of 'part1.npz'"`` for a row, by its number among all."""
        totals = np.cumsum([sum(file.sizes) for file in self._files])
        number = int(np.searchsorted(totals, row, side="right"))
        before = int(totals[number - 1]) if number else 0
        return f"row {row - before} of {str(self.paths[number])!r}"

    def where(self, block: int) -> str:
        """Return the file that a block is in, as errors call it."""
        return repr(str(self.paths[self._file(block)[0]]))

    def about(self) -> dict[str, str]:
        """Return names and sizes of the files, and what is read of them."""
        files = ", ".join(f"{path.name} ({_size(path)} bytes)" for path in self.paths)
        return {"files": files, "columns": str(self._groups)}

    def formed(self, rows: Rows) -> tuple[Any, Any, Any]:
        """Return x, y and sample weights of such rows, as `fit` takes them."""
        found: dict[str, Any] = {}
        for kind, name in self._keys:
            array = rows[f"{kind}/{name}"]
            if name:
                found.setdefault(kind, {})[name] = array
            else:
                found[kind] = array
        return found.get("x"), found.get("y"), found.get("weights")

    def _file(self, block: int) -> tuple[int, int]:
        number = int(np.searchsorted(self._first, block, side="right")) - 1
        return number, block - int(self._first[number])


def open(
    path: Paths,
    target: Chosen = None,
    features: Chosen = None,
    sample_weight: Columns = None,
    window_mb: float = WINDOW_MB,
) -> Files:
    """Return the rows in files, to be given to `fit`, `evaluate` or `predict` as `x`.

    They are read by windows while the model trains: never all at once. In each epoch files (and
    the row groups within) are visited in another order, and rows shuffled exactly within each
    window of `window_mb`; the order is a function of the model's seed and the epoch alone.

    Parameters
    ----------
    path : path-like, or a sequence of them
        A ``.npz``, Parquet (``.parquet``, ``.pq``) or Arrow file (``.arrow``, ``.feather``,
        ``.ipc``); a folder of such files, all of one kind; or a pattern such as ``"data/*.npz"``.
    target : str, sequence of str, or mapping, optional
        The column to be learnt, several side by side, or for a model with several outputs a dict
        of them by name. In ``.npz`` files an array, by default ``"y"`` where there is one.
    features : str, sequence of str, or mapping, optional
        The columns of the samples, side by side; by default all that are not named otherwise. A
        column of lists of equal length is a vector. In ``.npz`` files an array, by default ``"x"``.
    sample_weight : str, optional
        The column of the samples' weights; in ``.npz`` files by default ``"sample_weight"`` where
        there is one.
    window_mb : float, default 64
        Megabytes that are shuffled together. At most two windows are in memory at a time.

    Raises
    ------
    FileError
        For files that are missing, damaged or of another format.
    DataError
        For columns that do not exist, or do not hold numbers.
    MissingDependencyError
        For Parquet and Arrow files without PyArrow.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from chainrule import data
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.npz"
    >>> np.savez(path, points=np.zeros((40, 2)), score=np.ones(40))
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile(loss="mse")
    >>> table = data.open(path, target="score", features="points")
    >>> len(model.fit(table, epochs=2, verbose=0).epoch)
    2
    """
    paths = _paths(path)
    groups: dict[str, Mapping[str, Columns]] = {}
    columns = paths[0].suffix.lower() != ".npz"
    if features is None and not columns:
        features = "x"
    groups["x"] = features if isinstance(features, Mapping) else {"": features}
    if target is None and not columns and "y" in _arrays(paths[0]):
        target = "y"
    if target is not None:
        groups["y"] = target if isinstance(target, Mapping) else {"": target}
    if sample_weight is None and not columns and "sample_weight" in _arrays(paths[0]):
        sample_weight = "sample_weight"
    if sample_weight is not None:
        groups["weights"] = {"": sample_weight}
    return Files(paths, groups, window_bytes(window_mb))


def is_path(thing: Any) -> bool:
    """Return whether something is a path, or a list of them."""
    if isinstance(thing, list | tuple):
        return bool(thing) and all(isinstance(one, os.PathLike) for one in thing)
    return isinstance(thing, str | os.PathLike)


def _paths(path: Paths) -> list[Path]:
    """Return the files that are meant, all of one kind."""
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    found = [file for one in given for file in _expanded(one)]
    unknown = [file for file in found if file.suffix.lower() not in _READERS]
    if unknown:
        raise FileError(_not_known(unknown[0]))
    kinds = {_READERS[file.suffix.lower()] for file in found}
    if len(kinds) > 1:
        told = ", ".join(sorted({file.suffix.lower() for file in found}))
        raise FileError(f"{str(path)!r} holds files of several kinds ({told}); give one kind")
    return found


def _expanded(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that a path stands for, in the order of their names."""
    name = os.fspath(path)
    if any(c in name for c in "*?[") and not os.path.exists(name):
        found = [Path(one) for one in sorted(glob.glob(name, recursive=True))]
        if not found:
            raise FileError(f"there is no file like {name!r}")
        return found
    path = Path(path)
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in _READERS)
        found = [p for p in found if p.name[0] not in "._"]
        if not found:
            raise FileError(
                f"{str(path)!r} holds no file of a kind that is read by windows: "
                f"{', '.join(_READERS)}"
            )
        return found
    if not path.exists():
        raise FileError(f"there is no file {str(path)!r}")
    return [path]


def _not_known(path: Path) -> str:
    lines = [f"{str(path)!r} is not of a kind that is read by windows: {', '.join(_READERS)}"]
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        lines.append("  fix: convert it, e.g. pandas.read_csv(path).to_parquet(...), or use")
        lines.append("       `chainrule train` for a table that fits in memory")
    return "\n".join(lines)


def _arrays(path: Path) -> list[str]:
    """Return the names of the arrays in a shard."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return list(content.files)
    except (OSError, ValueError, AttributeError) as error:
        raise FileError(f"cannot read {str(path)!r}: {error}") from error


def _shard_groups(
    groups: Mapping[str, Mapping[str, Columns]],
) -> dict[tuple[str, str], Columns]:
    flat: dict[tuple[str, str], Columns] = {}
    for kind, named in groups.items():
        for name, columns in named.items():
            if columns is None:
                raise DataError(f"say which array of the shards is {key(kind, 0)}[{name!r}]")
            flat[kind, name] = columns
    return flat


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise FileError(f"cannot read {str(path)!r}: {error}") from error
