"""Sequences of different lengths, where Keras has them too."""

from chainrule.data.sequences import pad_sequences

__all__ = ["pad_sequences"]
