"""Data sets that ship with chainrule; ``SOURCES.md`` beside this file says where each is from."""

from . import digits

__all__ = ["digits"]
