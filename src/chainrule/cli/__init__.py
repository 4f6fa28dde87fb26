"""The command ``chainrule``: training, evaluating and predicting without a line of Python."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of this process."""
    from chainrule.cli.app import app

    app(prog_name="chainrule")
