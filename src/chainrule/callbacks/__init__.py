"""Callbacks: what looks at a run, or stops it, from outside."""

from chainrule.callbacks.backup import BackupAndRestore
from chainrule.callbacks.base import Callback, CallbackList
from chainrule.callbacks.csv_logger import CSVLogger
from chainrule.callbacks.early_stopping import EarlyStopping
from chainrule.callbacks.functions import LambdaCallback
from chainrule.callbacks.goal import Goal
from chainrule.callbacks.gradient_doctor import GradientDoctor
from chainrule.callbacks.layer_statistics import LayerStatistics
from chainrule.callbacks.learning_rate_scheduler import LearningRateScheduler
from chainrule.callbacks.model_checkpoint import ModelCheckpoint
from chainrule.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from chainrule.callbacks.run_recorder import RunRecorder
from chainrule.callbacks.tensorboard import TensorBoard
from chainrule.callbacks.terminate_on_nan import TerminateOnNaN
from chainrule.callbacks.timer import Timer
from chainrule.training.history import History

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "Goal",
    "GradientDoctor",
    "History",
    "LambdaCallback",
    "LayerStatistics",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "RunRecorder",
    "TensorBoard",
    "TerminateOnNaN",
    "Timer",
]
