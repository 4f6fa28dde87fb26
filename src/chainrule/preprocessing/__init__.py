"""Preparation of data as older Keras has it: `image`."""

from chainrule.preprocessing import image

__all__ = ["image"]
