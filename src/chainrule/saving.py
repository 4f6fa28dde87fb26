"""Classes and functions of your own in files of models, under the names of Keras's ``saving``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from chainrule import named
from chainrule.errors import ArgumentError

if TYPE_CHECKING:
    from chainrule.models.saving import load_model

T = TypeVar("T")

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "register_keras_serializable",
]


def __getattr__(name: str) -> Any:
    if name == "load_model":  # when it is asked for: models are not needed for the rest
        from chainrule.models.saving import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """Return a decorator that has a class or function found when a file names it.

    A file holds no code: the program that loads it must have run this decorator too. In files it
    stands as ``package>name``.

    Parameters
    ----------
    package : str, default "Custom"
        Keeps names of different programs apart.
    name : str, optional
        By default that of the class or function.

    Raises
    ------
    ArgumentError
        For a class without ``get_config``, of which no file can tell how it was made.

    Examples
    --------
    >>> from chainrule import layers, saving
    >>> @saving.register_keras_serializable("doc")
    ... class Twice(layers.Layer):
    ...     def call(self, x):
    ...         return 2 * x
    >>> saving.get_registered_name(Twice)
    'doc>Twice'
    >>> layers.deserialize(layers.serialize(Twice()))([[1.0]]).numpy().tolist()
    [[2.0]]
    """

    def decorate(thing: T) -> T:
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise ArgumentError(f"{thing.__name__} has no get_config, so a file cannot describe it")
        own = name or getattr(thing, "__name__", type(thing).__name__)
        named.register(f"{package}>{own}", thing)
        return thing

    return decorate


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Have classes and functions found by these names inside a ``with`` block.

    Parameters
    ----------
    custom_objects : mapping of str to class or function

    Examples
    --------
    >>> from chainrule import activations, saving
    >>> with saving.custom_object_scope({"double": lambda x: 2 * x}):
    ...     activations.get("double")(3)
    6
    """
    with named.scoped(custom_objects):
        yield


CustomObjectScope = custom_object_scope


def get_custom_objects() -> dict[str, Any]:
    """Return the classes and functions that are known by name: registered, or in a scope.

    Examples
    --------
    >>> from chainrule import saving
    >>> with saving.custom_object_scope({"one": abs}):
    ...     saving.get_custom_objects()["one"]
    <built-in function abs>
    """
    return named.customs()


def get_registered_name(obj: Any) -> str:
    """Return the name that a class or function stands under in files.

    Examples
    --------
    >>> from chainrule import layers, saving
    >>> saving.get_registered_name(layers.Dense)
    'Dense'
    """
    return named.registered_name(obj)


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the class or function of a name, or ``None``.

    Parameters
    ----------
    name : str
        As `get_registered_name` tells it.
    custom_objects : mapping, optional
        Looked through first.

    Examples
    --------
    >>> from chainrule import saving
    >>> saving.get_registered_object("nothing") is None
    True
    """
    found = (custom_objects or {}).get(name)
    return named.custom(name) if found is None else found
