"""Callbacks: what looks at a run, or stops it, from outside."""

from chainrule.callbacks.base import Callback, CallbackList
from chainrule.callbacks.early_stopping import EarlyStopping
from chainrule.callbacks.functions import LambdaCallback
from chainrule.training.history import History

__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback"]
