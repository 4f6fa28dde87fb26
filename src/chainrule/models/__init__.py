"""Models: layers put together, trained, used and kept in files."""

from chainrule.models.memory import Memory
from chainrule.models.model import Model
from chainrule.models.saving import load_model
from chainrule.models.sequential import Sequential

__all__ = ["Memory", "Model", "Sequential", "load_model"]
