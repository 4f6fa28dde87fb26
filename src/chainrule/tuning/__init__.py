"""What to know and choose before training: rate, size of batches, health of the first weights."""

from chainrule.tuning.batch_size import BatchSizes, find_batch_size
from chainrule.tuning.initialization import check_initialization
from chainrule.tuning.learning_rate import LearningRates, find_learning_rate

__all__ = [
    "BatchSizes",
    "LearningRates",
    "check_initialization",
    "find_batch_size",
    "find_learning_rate",
]
