"""Signatures such as ``"n k, k m -> n m"``: parsed once, then bound to the shapes of a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from chainrule.dtypes import FLOATS, INTEGERS
from chainrule.errors import DTypeError, ShapeError

Shape = tuple[int, ...]

_CLASSES = {"int": INTEGERS, "float": FLOATS, "bool": ("bool",), "any": ()}


@dataclass(frozen=True, slots=True)
class Spec:
    """The type of an array: its shape and dtype."""

    shape: Shape
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@lru_cache(4096)
def spec_of(shape: Shape, dtype: str) -> Spec:
    """Return the type, the same object for the same type: for loops that make many values."""
    return Spec(shape, dtype)


@dataclass(frozen=True, slots=True)
class Term:
    """One argument or output of a signature: its axis tokens and its dtype class."""

    axes: tuple[str, ...]
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed signature; `outputs` is ``None`` where a rule of the operation decides them."""

    arguments: tuple[Term, ...]
    outputs: tuple[Term, ...] | None
    variadic: bool

    def shared_first_axis(self, i: int) -> bool:
        """Return whether argument `i` begins with the axis the first output begins with."""
        if self.outputs is None or i >= len(self.arguments):
            return False
        mine, out = self.arguments[i].axes, self.outputs[0].axes
        return bool(mine) and bool(out) and mine[0] == out[0]


def _term(text: str) -> Term:
    body, _, dtype = text.strip().partition(":")
    axes = () if body.strip() == "()" else tuple(body.split())
    return Term(axes, dtype.strip())


@cache
def parse(text: str) -> Signature:
    """Return the parsed signature; the grammar is that of the decorator `primitive`."""
    left, _, right = text.partition("->")
    variadic = left.strip() == "..."
    arguments = () if variadic or not left.strip() else tuple(map(_term, left.split(",")))
    outputs = None if right.strip() == "?" else tuple(map(_term, right.split(",")))
    return Signature(arguments, outputs, variadic)


def bind(
    signature: Signature, name: str, names: Sequence[str], specs: Sequence[Spec]
) -> dict[str, Shape]:
    """Return the sizes of the signature's axes for these arguments.

    Raises
    ------
    ShapeError
        Naming the axis and both arguments where sizes differ, or the rank where it does not fit.
    DTypeError
        Where dtypes differ or are not of the class that the signature asks for.
    """
    if not signature.variadic and len(specs) != len(signature.arguments):
        raise ShapeError(f"{name} takes {len(signature.arguments)} arrays, not {len(specs)}")
    _check_dtypes(signature, name, names, specs)
    sizes: dict[str, Shape] = {}
    owner: dict[str, int] = {}
    for i, (term, spec) in enumerate(zip(signature.arguments, specs, strict=False)):
        for axis, size in _axes(name, names[i], term, spec.shape).items():
            if sizes.setdefault(axis, size) != size:
                first = owner[axis]
                raise ShapeError(
                    _mismatch(name, axis, signature, names, specs, first, i, sizes[axis], size)
                )
            owner.setdefault(axis, i)
    return sizes


def _mismatch(
    name: str,
    axis: str,
    signature: Signature,
    names: Sequence[str],
    specs: Sequence[Spec],
    first: int,
    second: int,
    left: Shape,
    right: Shape,
) -> str:
    def plain(size: Shape) -> str:
        return str(list(size)) if axis.startswith("*") else str(size[0])

    word = "the shape" if axis.startswith("*") else f"axis `{axis}`"
    lines = [
        f"{name}: {word} is {plain(left)} in {names[first]} but {plain(right)} in {names[second]}."
    ]
    for i in (first, second):
        lines.append(f"  {names[i]:<7}: {described(signature.arguments[i], specs[i].shape)}")
    return "\n".join(lines)


def described(term: Term, shape: Shape) -> str:
    """Return e.g. ``[n=10, k=5]`` for the term ``n k`` and the shape (10, 5)."""
    if len(term.axes) != len(shape) or any(a.startswith("*") for a in term.axes):
        return str(list(shape))
    return "[" + ", ".join(f"{a}={n}" for a, n in zip(term.axes, shape, strict=True)) + "]"


def _axes(name: str, argument: str, term: Term, shape: Shape) -> dict[str, Shape]:
    """Return the sizes of the tokens of one term; the token ``*s`` takes what the letters leave."""
    star = next((i for i, a in enumerate(term.axes) if a.startswith("*")), None)
    letters = len(term.axes) - (star is not None)
    if len(shape) < letters or (star is None and len(shape) != letters):
        raise ShapeError(
            f"{name}: {argument} must have the axes [{', '.join(term.axes)}], "
            f"but its shape is {list(shape)}."
        )
    sizes: dict[str, Shape] = {}
    position = 0
    for i, axis in enumerate(term.axes):
        width = len(shape) - letters if i == star else 1
        size = shape[position : position + width]
        position += width
        if sizes.setdefault(axis, size) != size:
            raise ShapeError(f"{name}: axis `{axis}` of {argument} has two sizes: {list(shape)}.")
    return sizes


def _check_dtypes(
    signature: Signature, name: str, names: Sequence[str], specs: Sequence[Spec]
) -> None:
    common: str | None = None
    for i, spec in enumerate(specs):
        wanted = signature.arguments[i].dtype if not signature.variadic else ""
        if wanted and wanted != "any" and spec.dtype not in _CLASSES.get(wanted, (wanted,)):
            raise DTypeError(f"{name}: {names[i]} must be {wanted}, but is {spec.dtype}.")
        if not wanted:
            if common is not None and spec.dtype != common:
                raise DTypeError(
                    f"{name}: {names[i]} is {spec.dtype} but {names[0]} is {common}; "
                    "primitives do not convert: cast one of them."
                )
            common = spec.dtype


def outputs_of(
    signature: Signature, sizes: dict[str, Shape], specs: Sequence[Spec]
) -> tuple[Spec, ...]:
    """Return the types of the outputs once the axes are bound."""
    common = next(
        (s.dtype for t, s in zip(signature.arguments, specs, strict=False) if not t.dtype),
        specs[0].dtype if specs else "float32",
    )
    result = []
    for term in signature.outputs or ():
        shape = tuple(n for axis in term.axes for n in sizes[axis])
        result.append(Spec(shape, term.dtype or common))
    return tuple(result)
