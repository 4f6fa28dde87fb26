"""The base of callbacks and the list that calls several as one."""

from chainrule.training.hooks import Callback, CallbackList, Logs

__all__ = ["Callback", "CallbackList", "Logs"]
