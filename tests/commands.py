"""Calling the command `chainrule` as in a shell."""

from __future__ import annotations

from click.testing import CliRunner

from chainrule.cli.app import app


def call(*arguments, code=0, given=None):
    """Return what a call prints; `given` is what it is given to read."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=given)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def refused(*arguments, given=None):
    """Return what a mistake gives."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=given)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stderr.startswith("error: "), result.stderr
    return result.stderr


def refused_in_one_line(*arguments, given=None):
    """Return the one line that a mistake gives."""
    lines = refused(*arguments, given=given).strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def accuracy(output, what):
    (line,) = [line for line in output.splitlines() if line.startswith(f"{what} accuracy: ")]
    return float(line.rsplit(" ", 1)[1])
