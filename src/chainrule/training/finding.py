"""What keeps a network from learning, said in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from chainrule.training.said import recalled, templates_of

SENTENCES = ("evidence", "cause", "remedy")


@dataclass(frozen=True)
class Finding:
    """Something that keeps a network from learning; printed, it is a paragraph.

    Evidence, cause and remedy are English. Those of the rules keep their templates (`Said`), by
    which reports and the dashboard say them in Chinese; see `chainrule.insight.words.Words.text`.

    Attributes
    ----------
    kind : str
        E.g. ``"vanishing_gradient"``; see `chainrule.insight.KINDS`.
    layer : str or None
        Where; ``None`` for what concerns the data or the whole network.
    evidence : str
        What was measured.
    remedy : str
        What helps.
    step : int or None
        The number of the first step, from 0 over all epochs, at which it was seen.
    cause : str
        Where it probably comes from.
    change : dict or None
        The argument that the remedy changes and its new value, where a program can apply it: e.g.
        ``{"optimizer.learning_rate": 0.01}``, ``{"layer": "hidden", "kernel_initializer":
        "he_normal"}`` or, for several, ``"layers"`` with their names.
    numbers : dict of str to number
        The numbers of the evidence, by name.

    Examples
    --------
    >>> from chainrule.insight import Finding
    >>> print(Finding("dead_relu", "h1", "98% of its units put out 0", "begin with biases of 0"))
    dead relu in layer 'h1': 98% of its units put out 0.
      remedy: begin with biases of 0
    """

    kind: str
    layer: str | None = None
    evidence: str = ""
    remedy: str = ""
    step: int | None = None
    cause: str = ""
    change: dict[str, Any] | None = field(default=None, hash=False)
    numbers: dict[str, float] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        head = self.kind.replace("_", " ")
        head += f" in layer {self.layer!r}" if self.layer is not None else ""
        head += f" at step {self.step}" if self.step is not None else ""
        lines = [f"{head}: {self.evidence}."]
        lines += [f"  cause : {self.cause}"] if self.cause else []
        return "\n".join([*lines, f"  remedy: {self.remedy}"])

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data that JSON can hold: numbers that are not finite as words; the
        templates of its sentences, by which they are said in other languages, as ``"said"``."""
        texts = {name: getattr(self, name) for name in SENTENCES}
        words = asdict(self) | {name: str(text) for name, text in texts.items()}
        words["numbers"] = {k: _plain(v) for k, v in self.numbers.items()}
        return words | templates_of(texts)

    @classmethod
    def from_dict(cls, words: Mapping[str, Any]) -> Finding:
        """Return the finding that `to_dict` described."""
        known = {name: words[name] for name in cls.__dataclass_fields__ if name in words}
        known |= {name: recalled(words, name) for name in SENTENCES if name in known}
        known["numbers"] = {k: float(v) for k, v in dict(words.get("numbers") or {}).items()}
        return cls(**known)


def _plain(number: float) -> float | str:
    """Return a number, or ``"nan"``, ``"inf"`` or ``"-inf"``, which `float` reads."""
    return float(number) if math.isfinite(number) else str(float(number))
