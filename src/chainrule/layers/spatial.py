"""What layers over axes of space share: how many there are, and where the channels stand."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer
from chainrule.ops import space

Many = int | tuple[int, ...] | list[int]


class _Spatial(Layer):
    """A layer over `rank` axes of space; subclasses write `_moved`, for channels last."""

    rank = 2

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = space.checked_format(data_format)

    def _moved(self, x: Value) -> Value:
        """Return the layer's function of x, whose channels stand last."""
        raise NotImplementedError

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the layer's function of x."""
        self._check(x)
        y = self._moved(space.channels_last(x, self.data_format))
        return space.channels_back(y, self.data_format)

    def _check(self, x: Value) -> None:
        """Raise unless x has as many axes as the layer takes."""
        if x.ndim == self.rank + 2:
            return
        letters = (*space.LETTERS[self.rank], "c")
        axes = letters if self.data_format == space.LAST else (letters[-1], *letters[:-1])
        text = f"a sample has shape {list(x.shape[1:])}; expected [{', '.join(axes)}]"
        if x.ndim == self.rank + 1:
            new = "[..., None]" if self.data_format == space.LAST else "[:, None]"
            text += f"\n  fix: give the data an axis for their one channel: x{new}"
        raise ShapeError(text)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "data_format": self.data_format}
