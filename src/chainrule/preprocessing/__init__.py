"""Preparation of data as older Keras has it, `image` and `sequence`, and of sounds,
`audio`."""

from chainrule.preprocessing import audio, image, sequence

__all__ = ["audio", "image", "sequence"]
