"""``einsum``: products and sums named by the letters of the axes."""

from __future__ import annotations

import math
import string
from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops import functions as f
from chainrule.ops.arrays import reshape, transpose
from chainrule.ops.convert import counted
from chainrule.ops.matrices import diagonal
from chainrule.ops.products import matmul
from chainrule.ops.reductions import sum

Like = Any


def einsum(subscripts: str, *operands: Like) -> Value:
    """``y[outputs] = sum over the other letters of the product of the operands``.

    Operands are multiplied from the left to the right, two at a time, as (batched) products of
    matrices: write the small ones first.

    Shapes
    ------
    "n k, k m -> n m" means x : [n, k]; w : [k, m]; returned : [n, m]

    Parameters
    ----------
    subscripts : str
        A letter for each axis; ``...`` for any number of them, which broadcast. A letter twice in
        one operand is its diagonal. Without ``->`` the letters that occur once, in the order of the
        alphabet.
    *operands : array_like
        As many as there are groups of letters.

    Raises
    ------
    ShapeError
        Where the letters do not fit the axes, or a letter has two sizes.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.einsum("nk,km->nm", [[1, 2]], [[3, 4], [5, 6]]).numpy().tolist()
    [[13, 16]]
    >>> ops.einsum("ii->", [[1, 2], [3, 4]]).item()
    5
    """
    values = [counted(x) for x in operands]
    groups, result = _letters(subscripts, values)
    terms = [_once(x, letters) for x, letters in zip(values, groups, strict=True)]
    _check_sizes(subscripts, terms)
    y, have = terms[0]
    for i, (x, letters) in enumerate(terms[1:], 2):
        later = set(result).union(*(more for _, more in terms[i:]))
        y, have = _product(y, have, x, letters, later)
    y, have = _summed(y, have, set(result))
    return transpose(y, [have.index(a) for a in result])


def _letters(subscripts: str, values: list[Value]) -> tuple[list[str], str]:
    """Return one letter for each axis of each operand and of the result."""
    text = subscripts.replace(" ", "")
    inputs, arrow, result = text.partition("->")
    groups = inputs.split(",")
    if len(groups) != len(values):
        raise ShapeError(f"einsum: {subscripts!r} is for {len(groups)} arrays, not {len(values)}")
    spare = "".join(a for a in string.ascii_letters if a not in text)
    if not arrow:
        once = sorted(a for a in set(inputs) if a.isalpha() and inputs.count(a) == 1)
        result = ("..." if "..." in inputs else "") + "".join(once)
    dots = [x.ndim - len(g.replace("...", "")) for g, x in zip(groups, values, strict=True)]
    widest = max((n for n, g in zip(dots, groups, strict=True) if "..." in g), default=0)
    lead = spare[:widest]
    for g, x, n in zip(groups, values, dots, strict=True):
        if n < 0 or (n > 0 and "..." not in g):
            raise ShapeError(f"einsum: {g!r} does not name the axes of shape {list(x.shape)}")
    named = [g.replace("...", lead[widest - n :]) for g, n in zip(groups, dots, strict=True)]
    result = result.replace("...", lead)
    if len(set(result)) < len(result) or set(result) - set("".join(named)):
        raise ShapeError(f"einsum: the result {result!r} repeats a letter or has a new one")
    return named, result


def _once(x: Value, letters: str) -> tuple[Value, str]:
    """Return x with the diagonal taken of letters that occur twice."""
    for a in sorted(set(letters)):
        while letters.count(a) > 1:
            first = letters.index(a)
            second = letters.index(a, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(f"einsum: axis {a!r} is {x.shape[first]} and {x.shape[second]}")
            x = diagonal(x, 0, first, second)
            letters = "".join(b for i, b in enumerate(letters) if i not in (first, second)) + a
    return x, letters


def _check_sizes(subscripts: str, terms: list[tuple[Value, str]]) -> None:
    sizes: dict[str, int] = {}
    for x, letters in terms:
        for a, n in zip(letters, x.shape, strict=True):
            known = sizes.setdefault(a, n)
            if n != known and 1 not in (n, known):
                raise ShapeError(f"einsum: in {subscripts!r} axis {a!r} is {known} and {n}")
            sizes[a] = max(n, known)


def _summed(x: Value, letters: str, keep: set[str]) -> tuple[Value, str]:
    """Return x summed over the letters that nothing needs."""
    gone = [i for i, a in enumerate(letters) if a not in keep]
    return (sum(x, gone) if gone else x), "".join(a for a in letters if a in keep)


def _product(x: Value, left: str, w: Value, right: str, later: set[str]) -> tuple[Value, str]:
    """Return the product of two terms over what only they have, and its letters."""
    x, left = _summed(x, left, set(right) | later)
    w, right = _summed(w, right, set(left) | later)
    shared = [a for a in left if a in right]
    ones = [a for a in shared if x.shape[left.index(a)] != w.shape[right.index(a)]]
    over = [a for a in shared if a not in later]
    if ones or not over:
        return _elementwise(x, left, w, right, later)
    both = [a for a in shared if a in later]
    rows, columns = [a for a in left if a not in right], [a for a in right if a not in left]
    shape = [x.shape[left.index(a)] for a in both + rows] + [
        w.shape[right.index(a)] for a in columns
    ]
    lead = [both] if both else []
    y = matmul(_grouped(x, left, *lead, rows, over), _grouped(w, right, *lead, over, columns))
    return reshape(y, shape), "".join(both + rows + columns)


def _grouped(x: Value, letters: str, *groups: list[str]) -> Value:
    """Return x with one axis for each group of letters."""
    order = [letters.index(a) for group in groups for a in group]
    return reshape(
        transpose(x, order), [math.prod(x.shape[letters.index(a)] for a in g) for g in groups]
    )


def _elementwise(x: Value, left: str, w: Value, right: str, later: set[str]) -> tuple[Value, str]:
    letters = left + "".join(a for a in right if a not in left)
    x = reshape(x, (*x.shape, *(1,) * (len(letters) - len(left))))
    w = transpose(w, [right.index(a) for a in letters if a in right])
    sizes = iter(w.shape)
    w = reshape(w, [next(sizes) if a in right else 1 for a in letters])
    return _summed(f.multiply(x, w), letters, later)
