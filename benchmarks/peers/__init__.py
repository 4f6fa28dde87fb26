"""One adapter a peer, all with the interface of ``Peer``; what is not installed is left out."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from ..networks import Network
from ..rows import Task


class Peer(Protocol):
    """A network of the task's weights, to be trained with Adam on the task's batches in order."""

    def __init__(self, task: Task) -> None: ...

    def losses(self, count: int) -> list[float]:
        """Train on the first ``count`` batches; the loss of each before its update."""

    def epoch(self) -> None:
        """Train once on all batches; returns when the last update is done."""


@dataclass(frozen=True)
class Entry:
    """Where a peer is found, and what is measured of its package."""

    title: str
    module: str
    package: str
    adapter: str
    parts: tuple[str, ...] = ()
    only: tuple[str, ...] = ()  # the samples of the networks that it is for; () for all

    def installed(self) -> bool:
        """Whether the peer can be imported."""
        return find_spec(self.package) is not None

    def runs(self, network: Network) -> bool:
        """Whether the peer is for such a network."""
        return not self.only or network.samples in self.only

    def load(self) -> Callable[[Task], Peer]:
        """Import the peer and return its adapter."""
        adapter: Callable[[Task], Peer] = getattr(
            import_module(f"{__name__}.{self.module}"), self.adapter
        )
        return adapter


PEERS = {
    "chainrule": Entry("chainrule fit", "ours", "chainrule", "Fit", ("chainrule",)),
    "chainrule-batches": Entry("train_on_batch", "ours", "chainrule", "Batches"),
    "torch": Entry("PyTorch", "pytorch", "torch", "Eager", ("torch",)),
    "torch-last": Entry("channels last", "pytorch", "torch", "EagerLast", only=("images",)),
    "torch-compiled": Entry("compiled", "pytorch", "torch", "Compiled"),
    "torch-compiled-last": Entry(
        "compiled, last", "pytorch", "torch", "CompiledLast", only=("images",)
    ),
    "jax": Entry("JAX scan", "jax_scan", "jax", "Scan", ("jax", "jaxlib")),
    "jax-steps": Entry("JAX step", "jax_scan", "jax", "Steps", only=("images", "sequences")),
    "keras": Entry("Keras fit", "keras_fit", "keras", "Fit", ("keras",)),
    "sklearn": Entry(
        "scikit-learn", "sklearn_mlp", "sklearn", "PartialFit", ("sklearn", "scipy"), only=("rows",)
    ),
}


def available(wanted: list[str] | None = None) -> list[str]:
    """The names of the peers that are installed, of ``wanted`` or of all."""
    return [name for name in wanted or PEERS if PEERS[name].installed()]
