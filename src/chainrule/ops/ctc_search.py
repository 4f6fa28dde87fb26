"""The likeliest strings of labels, by a search that follows the best beginnings frame by frame.

A beginning keeps the probability of its paths that end in a blank and of those that do not: a label
that is repeated begins anew after the first only. Paths that come to stand for the same string are
added up (Graves, "Sequence Transduction with Recurrent Neural Networks", arXiv 1211.3711, section
2.5; Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
Recurrent DNNs", arXiv 1408.2873, algorithm 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Spec, primitive
from chainrule.ops.ctc import _check_blank, _log_softmax

# The log-probabilities of the paths of a beginning that end in a blank, and in its last label.
Beam = dict[tuple[int, ...], tuple[float, float]]

_NEVER = -np.inf
_BEGINNING = 5000.0  # operations that a beginning counts for in a frame
_CLASS = 300.0  # and a class


def _entered(beam: Beam, beginning: tuple[int, ...], label: int) -> float:
    """Return the log-probability of the paths of a beginning that the label can follow."""
    blank, other = beam[beginning]
    return blank if beginning[-1:] == (label,) else float(np.logaddexp(blank, other))


def _advanced(beam: Beam, y: Array, blank: int, width: int) -> Beam:
    """Return the best beginnings after one more frame, the likeliest first; of equal ones those
    that were there before, then those with the likelier beginning, then the lower label."""
    found: Beam = {}
    for string, (_, other) in beam.items():
        again = other + y[string[-1]] if string else _NEVER
        if string and string[:-1] in beam:
            again = np.logaddexp(again, _entered(beam, string[:-1], string[-1]) + y[string[-1]])
        found[string] = np.logaddexp(*beam[string]) + y[blank], again
    for string in beam:
        for label in range(len(y)):
            if label != blank and (*string, label) not in beam:
                found[*string, label] = _NEVER, _entered(beam, string, label) + y[label]
    scores = {string: np.logaddexp(*pair) for string, pair in found.items()}
    likely = sorted((s for s in scores if scores[s] > _NEVER), key=lambda s: -scores[s])
    return {string: found[string] for string in likely[:width]}


def _work(
    specs: Sequence[Spec], outputs: Sequence[Spec], *, blank: int, width: int, paths: int
) -> float:
    n, t, m = specs[0].shape
    return n * t * (_BEGINNING * width + _CLASS * m)


@primitive("n t m, n t:bool -> ?", flops=_work)
def ctc_beam_search(z: Array, used: Array, *, blank: int, width: int, paths: int) -> Any:
    """The labels [n, p, t] of the p likeliest strings that a search with `width` beginnings finds,
    -1 behind their ends, and their log-probabilities [n, p], from the logits of the frames that are
    used; ``-inf`` and no label where fewer are found."""
    n, t, _ = z.shape
    labels, scores = np.full((n, paths, t), -1), np.full((n, paths), _NEVER, z.dtype)
    for i, rows in enumerate(_log_softmax(z)):
        beam: Beam = {(): (0.0, _NEVER)}
        for y in rows[used[i]]:
            beam = _advanced(beam, y, blank, width)
        for p, (string, pair) in enumerate(list(beam.items())[:paths]):
            labels[i, p, : len(string)] = string
            scores[i, p] = np.logaddexp(*pair)
    return labels, scores


@ctc_beam_search.shape_rule
def _(z: Spec, used: Spec, *, blank: int, width: int, paths: int) -> Any:
    _check_blank("ctc_beam_search", z.shape[2], blank)
    if width < 1 or not 1 <= paths <= width:
        raise ArgumentError(
            f"ctc_beam_search: beam_width is {width} and top_paths is {paths}; "
            "expected a width of at least 1, and from 1 to so many paths"
        )
    return Spec((z.shape[0], paths, z.shape[1]), "int64"), Spec((z.shape[0], paths), z.dtype)


@ctc_beam_search.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return True, True
