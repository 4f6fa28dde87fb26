"""``chainrule report``: how a run went, as a page."""

from __future__ import annotations

import os

import click

from chainrule.errors import FileError
from chainrule.insight import find_runs, write_report


def report(run: str | None, language: str, output: str | None) -> None:
    """Write the report of a run, by default of the newest, and say where it is."""
    path = write_report(run or newest(), output, language)
    click.echo(f"{path} ({os.path.getsize(path) / 2**20:.1f} MiB)")


def newest() -> str:
    """Return the folder of the newest run in ``runs/``.

    Raises
    ------
    FileError
        Where there is none.
    """
    found = find_runs("runs")
    if not found:
        raise FileError("there is no run in runs/: name the folder of one, chainrule report RUN")
    return str(found[0])
