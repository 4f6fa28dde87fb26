"""Models: layers put together, trained, used and kept in files."""

from chainrule.models.cloning import clone_model
from chainrule.models.functional import Functional
from chainrule.models.memory import Memory
from chainrule.models.model import Model
from chainrule.models.plotting import plot_model
from chainrule.models.saving import load_model
from chainrule.models.sequential import Sequential

__all__ = ["Functional", "Memory", "Model", "Sequential", "clone_model", "load_model", "plot_model"]
