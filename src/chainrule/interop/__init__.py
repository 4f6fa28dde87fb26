"""Weights from and for other frameworks. Keras's own files are read and written by the models."""

from chainrule.interop import torch

__all__ = ["torch"]
