"""A training run written down as plain data, so that a remedy can change it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .data import Data

Edit = Callable[[Data], Data]
_SALT = "chainrule zoo 1314"


@dataclass(frozen=True)
class Part:
    """A layer, an optimizer or a loss that is yet to be made: its class and what that takes."""

    kind: Any  # a class, or its name
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the layer."""
        return str(self.options.get("name", ""))

    def but(self, **options: Any) -> Part:
        """Return the part with other options; an option that becomes None is left out."""
        merged = {**self.options, **options}
        return Part(self.kind, {key: value for key, value in merged.items() if value is not None})


def part(kind: Any, name: str | None = None, **options: Any) -> Part:
    """Return a part, named if it is a layer."""
    return Part(kind, options if name is None else {"name": name, **options})


@dataclass(frozen=True)
class Plan:
    """A run: data, layers, how it is trained, and what is wrong with it, if anything."""

    name: str
    data: str
    parts: tuple[Part, ...]
    loss: Any
    optimizer: Part
    batch_size: int = 32
    epochs: int = 5
    validation: bool = False
    edits: tuple[Edit, ...] = ()  # of the data
    fit: Mapping[str, Any] = field(default_factory=dict)
    compile: Mapping[str, Any] = field(default_factory=dict)
    callbacks: tuple[Part, ...] = ()
    seed: int = 0
    fault: str = ""  # the kind; none: a healthy run
    layers: tuple[str, ...] = ()  # the right ones to name; none: the fault has no layer
    also: tuple[str, ...] = ()  # other kinds that name the same fault
    twin: Plan | None = None  # the same run without the fault

    def __str__(self) -> str:
        return self.name

    def but(self, **changes: Any) -> Plan:
        """Return the plan with other fields."""
        return replace(self, **changes)

    def layer(self, name: str, **options: Any) -> Plan:
        """Return the plan with other options of one layer."""
        found = [p.but(**options) if p.name == name else p for p in self.parts]
        if name not in self.names:
            raise KeyError(name)
        return self.but(parts=tuple(found))

    def hidden(self, **options: Any) -> Plan:
        """Return the plan with other options of all layers with an activation but the last."""
        found = [p.but(**options) if "activation" in p.options else p for p in self.parts[:-1]]
        return self.but(parts=(*found, self.parts[-1]))

    def after(self, name: str, *new: Part) -> Plan:
        """Return the plan with layers put behind the one of this name."""
        at = self.names.index(name) + 1
        return self.but(parts=(*self.parts[:at], *new, *self.parts[at:]))

    def rate(self, learning_rate: Any) -> Plan:
        """Return the plan with another learning rate."""
        return self.but(optimizer=self.optimizer.but(learning_rate=learning_rate))

    def edit(self, *edits: Edit) -> Plan:
        """Return the plan with further edits of the data."""
        return self.but(edits=(*self.edits, *edits))

    @property
    def names(self) -> list[str]:
        """The names of the layers."""
        return [p.name for p in self.parts]

    @property
    def half(self) -> str:
        """``"tune"`` or ``"test"``, by the hash of the name."""
        digest = hashlib.sha256(f"{_SALT}: {self.name}".encode()).digest()
        return ("tune", "test")[digest[0] & 1]


def planted(
    fault: str,
    healthy: Plan,
    strength: str,
    sick: Plan,
    layers: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> Plan:
    """Return the sick plan, named after what was done to the healthy one."""
    name = f"{fault}: {healthy.name}, {strength}"
    return sick.but(name=name, fault=fault, layers=layers, also=also, twin=healthy)
