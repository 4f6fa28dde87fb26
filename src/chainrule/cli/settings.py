"""What a training run was asked for, and the file that repeats it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from chainrule import __version__
from chainrule.errors import ArgumentError, FileError, unknown_name


@dataclass(frozen=True)
class Settings:
    """The options of ``chainrule train`` that decide its result."""

    data: str
    target: str | None = None
    text: str | None = None
    task: str = "auto"
    # What is None is decided by the data: see `chainrule.cli.recipes`.
    recipe: str | None = None
    image_size: int | None = None
    tokens: str = "auto"
    features: str = "auto"
    network: str = "auto"
    augment: str = "auto"
    hidden: tuple[int, ...] | None = None
    activation: str = "relu"
    dropout: float | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    patience: int | None = None
    validation: float | None = None
    seed: int = 0

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Settings:
        """Return the settings for the options of the command line."""
        if not options.get("data"):
            raise ArgumentError(
                "say what to train on: 'digits', a folder of images or sounds, or a .csv, .parquet "
                "or .npz file (chainrule train --help)"
            )
        hidden = options.get("hidden")
        return cls(**{**options, "hidden": None if hidden is None else _units(hidden)})


def _units(text: str) -> tuple[int, ...]:
    """Return the widths in a text like ``"128,64"``; an empty text is no hidden layer."""
    widths = [part.strip() for part in text.split(",") if part.strip()]
    if not all(width.isascii() and width.isdigit() and int(width) > 0 for width in widths):
        raise ArgumentError(
            f"--hidden is {text!r}; expected the units of each hidden layer, like 128,64"
        )
    return tuple(map(int, widths))


def config_defaults(path: str) -> dict[str, Any]:
    """Return the options in a configuration file, by their names in Python.

    Raises
    ------
    FileError
        There is no such file, or it is not TOML.
    ArgumentError
        It names an option that does not exist.
    """
    try:
        config = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(f"there is no file {path!r}") from None
    except (OSError, ValueError) as error:
        raise FileError(f"{path!r} is not a readable TOML file: {error}") from None
    known = {field.name for field in fields(Settings)}
    defaults = {name.replace("-", "_"): value for name, value in config.items()}
    for name in defaults:
        if name not in known:
            raise unknown_name(f"option in {path!r}", name, known)
    return defaults


def config_text(settings: Settings) -> str:
    """Return the configuration file of a run."""
    values = asdict(settings)
    if settings.hidden is not None:
        values["hidden"] = ",".join(map(str, settings.hidden))
    # A JSON string, number or boolean is one of TOML too.
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
        if value is not None
    ]
    head = f"# chainrule {__version__}; to repeat the run: chainrule train --config THIS_FILE"
    return "\n".join([head, *lines, ""])
