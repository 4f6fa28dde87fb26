"""Callbacks from plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.callbacks.base import Callback
from chainrule.errors import unknown_name

_HOOKS = [name for name in dir(Callback) if name.startswith("on_")]


class LambdaCallback(Callback):
    """A callback whose hooks are the functions it is given.

    Parameters
    ----------
    **hooks : callable
        By the hook's name, e.g. ``on_epoch_end=lambda epoch, logs: ...``; each is called with the
        arguments of that hook of `Callback`.

    Raises
    ------
    ArgumentError
        For a name that no hook has.

    Examples
    --------
    >>> from chainrule.callbacks import LambdaCallback
    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch)).on_epoch_end(2, {})
    2
    """

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        for name, function in hooks.items():
            if name not in _HOOKS:
                raise unknown_name("hook", name, _HOOKS)
            setattr(self, name, function)
