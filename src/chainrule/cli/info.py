"""``chainrule info``: what runs here."""

from __future__ import annotations

import os
import platform
from importlib import util

import click
import numpy as np

from chainrule import __version__
from chainrule.executors import native, num_threads

# The module and the package of each extra.
EXTRAS = {
    "images": ("PIL", "Pillow"),
    "insight": ("plotly", "plotly"),
    "parquet": ("pyarrow", "pyarrow"),
    "plot": ("matplotlib", "matplotlib"),
}


def run() -> None:
    """Print version, instruction set, threads, and which optional packages are here."""
    lines = {
        "chainrule": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "instruction set": f"{native.instruction_set()} (here: {_sets()})",
        "cores": f"{native.core_count()} usable of {os.cpu_count()}",
        "threads": f"up to {num_threads()} (--threads or CHAINRULE_NUM_THREADS)",
        **{f"extra {extra}": _found(extra, *names) for extra, names in EXTRAS.items()},
    }
    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{name:<{width}}  {value}")


def _sets() -> str:
    return ", ".join(native.instruction_sets())


def _found(extra: str, module: str, package: str) -> str:
    """Return whether the package of an extra is installed, and if not how to get it."""
    if util.find_spec(module):
        return f"{package} is installed"
    return f"{package} is missing: pip install 'chainrule[{extra}]'"
