"""What `fit` is made of: the step as a program, the loop around it, progress, history."""

from chainrule.training.history import History
from chainrule.training.hooks import Callback, CallbackList

__all__ = ["Callback", "CallbackList", "History"]
