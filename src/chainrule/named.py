"""Rules that are found by name and described as plain data: regularizers, constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from chainrule.errors import ArgumentError, unknown_name

T = TypeVar("T")


class Named(Generic[T]):
    """The classes of one kind by name; `takes` says what a rule of this kind is a function of."""

    def __init__(self, kind: str, takes: str, base: type[T], names: Mapping[str, type[T]]) -> None:
        self.kind = kind
        self.takes = takes
        self.base = base
        self.names = names

    def get(self, identifier: Any) -> Any:
        """Return the rule for a name, a configuration, a class, a rule or function, or ``None``."""
        if identifier is None:
            return None
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, str):
            return self._class(identifier)()
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if callable(identifier):
            return identifier
        raise ArgumentError(
            f"a {self.kind} is a name or a function of {self.takes}, not {identifier!r}"
        )

    def serialize(self, rule: Any) -> dict[str, Any] | None:
        """Return class and arguments of a rule of the package."""
        if rule is None:
            return None
        if type(rule) not in self.names.values():
            raise ArgumentError(
                f"the {self.kind} {rule!r} is not one of chainrule's and cannot be saved"
            )
        return {"class_name": type(rule).__name__, "config": rule.get_config()}

    def deserialize(self, config: Mapping[str, Any]) -> Any:
        """Return the rule that `serialize` described."""
        kind: Any = self._class(config.get("class_name"))
        return kind.from_config(dict(config.get("config", {})))

    def _class(self, name: Any) -> type[T]:
        if not isinstance(name, str) or name not in self.names:
            raise unknown_name(self.kind, name, self.names)
        return self.names[name]
