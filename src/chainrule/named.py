"""Things that are found by name and described as plain data: losses, optimizers, and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chainrule.errors import ArgumentError, unknown_name

T = TypeVar("T")


@dataclass(frozen=True)
class Named(Generic[T]):
    """The classes of one kind by name.

    `expects` says what `get` takes: ``a loss is a name, a Loss or a function``. Further `names` may
    stand for classes; `fold` brings what is given to the form that names have. `function` makes of
    a function what stands for it, where functions may be given; `optional` lets ``None`` through.
    With `closed`, only classes of the package can be described.
    """

    kind: str
    base: type[T]
    expects: str
    classes: Mapping[str, type[T]]
    names: Mapping[str, type[T]] | None = None
    fold: Callable[[str], str] = str
    function: Callable[[Any], Any] | None = None
    optional: bool = False
    closed: bool = False

    def get(self, identifier: Any) -> Any:
        """Return the thing for a name, a configuration, a class, the thing itself or a function."""
        if isinstance(identifier, self.base) or (identifier is None and self.optional):
            return identifier
        if isinstance(identifier, str):
            return self.named(identifier, self.names or self.classes)()
        if isinstance(identifier, Mapping):
            return self.deserialize(identifier)
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return identifier()
        if callable(identifier) and self.function is not None:
            return self.function(identifier)
        raise ArgumentError(f"{self.expects}, not {identifier!r}")

    def serialize(self, thing: Any) -> dict[str, Any] | None:
        """Return class and arguments as plain data."""
        if thing is None and self.optional:
            return None
        if self.closed and not self._can_be_read(type(thing)):
            raise ArgumentError(
                f"the {self.kind} {thing!r} is not one of chainrule's and cannot be saved"
            )
        return {"class_name": registered_name(type(thing)), "config": thing.get_config()}

    def deserialize(
        self, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the thing that `serialize` described."""
        known = {**self.classes, **(custom_objects or {})}
        kind: Any = self.named(config.get("class_name"), known)
        return kind.from_config(dict(config.get("config", {})))

    def named(self, name: Any, names: Mapping[str, type[T]]) -> type[T]:
        """Return the class of a name."""
        if isinstance(name, str):
            own = custom(name)
            if isinstance(own, type) and issubclass(own, self.base):
                return own
            if self.fold(name) in names:
                return names[self.fold(name)]
        raise unknown_name(self.kind, name, names)

    def _can_be_read(self, kind: type) -> bool:
        return kind in self.classes.values() or registered_name(kind) in _registered


def itself(function: Any) -> Any:
    """Return the function: it needs nothing around it."""
    return function


# Classes and functions of the user's by their names in files, and those known in a block only.
_registered: dict[str, Any] = {}
_scoped: ContextVar[Mapping[str, Any] | None] = ContextVar("scoped", default=None)


def register(name: str, thing: Any) -> None:
    """Have a class or function of the user's found by this name."""
    _registered[name] = thing


def custom(name: str) -> Any:
    """Return the user's class or function of this name, or ``None``."""
    return {**_registered, **(_scoped.get() or {})}.get(name)


def customs() -> dict[str, Any]:
    """Return the user's classes and functions that are known, by name."""
    return {**_registered, **(_scoped.get() or {})}


def registered_name(thing: Any) -> str:
    """Return the name that stands for a class or function in configurations."""
    for name, known in _registered.items():
        if known is thing:
            return name
    name = getattr(thing, "__name__", type(thing).__name__)
    return str(name)


def remember(thing: Any) -> str | None:
    """Return a name by which a function is found for as long as a block of `remembering` lasts;
    ``None`` outside of one."""
    found = _scoped.get()
    if not isinstance(found, _Remembered):
        return None
    name = f"{getattr(thing, '__name__', 'function')} {len(found)}"
    found[name] = thing
    return name


class _Remembered(dict[str, Any]):
    """Things known in a block, to which those are added whose names are told in it."""


@contextmanager
def remembering() -> Iterator[None]:
    """Have functions found that are told inside, by which what holds them is made once more."""
    token = _scoped.set(_Remembered(_scoped.get() or {}))
    try:
        yield
    finally:
        _scoped.reset(token)


@contextmanager
def scoped(things: Mapping[str, Any]) -> Iterator[None]:
    """Have these found by their names inside."""
    token = _scoped.set({**(_scoped.get() or {}), **things})
    try:
        yield
    finally:
        _scoped.reset(token)
