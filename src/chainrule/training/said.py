"""English sentences that keep the template they were made of, so that they can be translated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

BETWEEN = ", "  # what stands between the parts of a list
# What filling in a template, or reading one, can raise where its values are of other kinds.
_UNFIT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Said(str):
    """An English sentence that knows its template and what fills the gaps of it.

    It is a `str` in all: what is printed, compared and searched is the sentence. See `said`.

    Parameters
    ----------
    text : str
        The sentence.
    template : str
        That of `str.format`.
    values : mapping of str to str, number or tuple
        What fills each gap: identifiers, numbers, further sentences, lists of these.

    Examples
    --------
    >>> from chainrule.training.said import said
    >>> lost = said("{share:.0%} of its units are dead", share=0.5)
    >>> lost
    '50% of its units are dead'
    >>> lost.by({"{share:.0%} of its units are dead": "{share:.0%} 的单元已死亡"})
    '50% 的单元已死亡'
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, text: str, template: str, values: Mapping[str, Any]) -> Said:
        made = super().__new__(cls, text)
        made.template, made.values = template, dict(values)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.template, self.values)

    def by(self, templates: Mapping[str, str]) -> str:
        """Return the sentence in the language of these templates, which are found by the English
        ones; in English where there is none, or the values do not fit it."""
        template = templates.get(self.template)
        if template is None:
            return str(self)
        try:
            return _filled(template, self.values, templates)
        except _UNFIT:
            return str(self)  # read from a file that says what no rule does

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data that JSON can hold."""
        values = {name: _plain(value) for name, value in self.values.items()}
        return {"text": str(self), "template": self.template, "values": values}

    @classmethod
    def from_dict(cls, words: Mapping[str, Any]) -> Said:
        """Return the sentence that `to_dict` described; its template is not filled in for that."""
        values = {name: _restored(value) for name, value in words["values"].items()}
        return cls(str(words["text"]), str(words["template"]), values)


def said(template: str, /, **values: Any) -> Said:
    """Return ``template.format(**values)``, which remembers both.

    Parameters
    ----------
    template : str
        In English, written out where `said` is called: by it the other languages are found.
    **values : str, number, Said or sequence of these
        What fills the gaps. The parts of a list have commas between them.

    Examples
    --------
    >>> from chainrule.training.said import said
    >>> said("features {columns} are {kind}", columns=[1, 2], kind=said("the same"))
    'features 1, 2 are the same'
    """
    held = {name: _held(value) for name, value in values.items()}
    return Said(_filled(template, held, {}), template, held)


def templates_of(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return, under ``"said"``, what `recalled` needs of those texts that have a template; nothing
    where none has."""
    found = {name: text.to_dict() for name, text in texts.items() if isinstance(text, Said)}
    return {"said": found} if found else {}


def recalled(words: Mapping[str, Any], name: str) -> Any:
    """Return a text of plain data, with its template where `templates_of` kept that of this very
    text."""
    text = words.get(name)
    try:
        found = Said.from_dict(words["said"][name])
    except _UNFIT:
        return text
    return found if found == text else text


def _held(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return tuple(map(_held, value)) if isinstance(value, list | tuple) else value


def _filled(template: str, values: Mapping[str, Any], templates: Mapping[str, str]) -> str:
    return template.format(**{name: _shown(value, templates) for name, value in values.items()})


def _shown(value: Any, templates: Mapping[str, str]) -> Any:
    if isinstance(value, tuple):
        parts = [str(_shown(part, templates)) for part in value]
        return templates.get(BETWEEN, BETWEEN).join(parts)
    return value.by(templates) if isinstance(value, Said) else value


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: a number that is not finite as its word."""
    if isinstance(value, Said):
        return value.to_dict()
    if isinstance(value, tuple):
        return [*map(_plain, value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_restored, value))
    if isinstance(value, Mapping):
        return float(value["number"]) if "number" in value else Said.from_dict(value)
    return value
