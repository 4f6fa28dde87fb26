"""Data on its way to a model: arrays of any kind, cut into batches; tables."""

# For its entry among the layers that a model's file can name: models import this package.
from chainrule.data.preprocessing import TablePreprocessing

__all__ = ["TablePreprocessing"]
