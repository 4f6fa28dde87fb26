"""The base of models: structure, weights, files."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, MissingMethodError, NotBuiltError, unknown_name
from chainrule.graph import Spec, Value, ordered, placeholder, scope
from chainrule.graph.symbol import are_shapes, filled, leaves
from chainrule.layers import Layer
from chainrule.layers.arguments import returned
from chainrule.models import saving, summary
from chainrule.models.fitting import Fitting
from chainrule.models.memory import Memory, memory
from chainrule.models.prepared import whole

Shape = tuple[int | None, ...]


class Model(Fitting):
    """Layers and a way through them, to be trained.

    ``Model(inputs, outputs)`` is the graph between symbols; see `Functional`. Or subclass it: make
    layers in ``__init__``, keep them as attributes, and say in ``call`` how data go through them;
    or hand ``super().__init__(inputs, outputs)`` a graph. For a plain stack of layers, use
    `Sequential`. In `fit` the layers inside train whether or not `call` takes ``training`` (in
    Keras only if it does).

    Parameters
    ----------
    inputs, outputs : Symbol, or list or dict of them, optional
        Between which the model is the graph.
    name : str, optional
        Shown in the summary; by default made from the class.

    Attributes
    ----------
    history : History or None
        What the last `fit` measured.
    stop_training : bool
        Set by callbacks to end `fit` after the epoch.
    label_names : list of str or None
        The classes in order of their numbers, kept in the model's file.
    metadata : dict
        Anything JSON can hold, kept in the model's file.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import layers, ops
    >>> from chainrule.models import Model
    >>> class Small(Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = layers.Dense(8)
    ...         self.out = layers.Dense(2)
    ...
    ...     def call(self, inputs):
    ...         return self.out(ops.relu(self.hidden(inputs)))
    >>> Small().predict(np.zeros((3, 4)), verbose=0).shape
    (3, 2)
    """

    # The names of several inputs and outputs, where the model is a graph.
    input_names: Sequence[str] = ()
    # Whether it is a class of the user's, whose `call` may take several inputs.
    takes_forms = True
    # Its layers carry the masks of the inputs on, or not: the outputs have those they came with.
    supports_masking = True
    # How a class of the user's is given several inputs: the names of a dict, or a list.
    _form: Mapping[str, None] | list[None] | None = None
    output_names: Sequence[str] = ()
    # The form of what `call` returned, lists, tuples and dicts, when a step was last traced.
    _returned: Any = None

    def __new__(cls, *args: Any, **options: Any) -> Any:
        """Return a graph where inputs and outputs are given."""
        if cls is Model and (args or "inputs" in options or "outputs" in options):
            from chainrule.models.functional import Functional

            return super().__new__(Functional)
        return super().__new__(cls)

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, **options: Any
    ) -> None:
        if inputs is not None or outputs is not None:
            from chainrule.models.functional import Functional, grown

            self.__class__ = grown(type(self))
            Functional.__init__(self, inputs, outputs, name)  # type: ignore[arg-type]
            return
        super().__init__(name=name, **options)
        self.label_names: list[str] | None = None
        self.metadata: dict[str, Any] = {}
        self._input_shape: Shape | None = None
        self._output_shape: Shape | None = None
        self._shapes: dict[str, Shape] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "call" in vars(cls) and "training" not in inspect.signature(cls.call).parameters:
            cls.call = _without_training(cls.call)  # type: ignore[method-assign]

    @property
    def label(self) -> str:
        """The model as errors name it."""
        return f"model {self.name!r} ({type(self).__name__})"

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the outputs for these inputs: what a subclass says."""
        raise MissingMethodError(f"{type(self).__name__} must define call(self, inputs)")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Return None: the outputs have the masks that the layers have given them."""
        return None

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of this shape; the first axis is the batch's.

        Parameters
        ----------
        input_shape : sequence of int or None
            E.g. ``(None, 28, 28)``.

        Raises
        ------
        ShapeError
            Where the layers do not fit each other.
        """
        # A shape; or, for several inputs, a list or dict of shapes.
        several = are_shapes(input_shape)
        shape: Any = input_shape if several else (None, *input_shape[1:])
        probes = [self._probe(part) for part in (_each(shape) if several else [shape])]
        with scope.tracing(None, training=False, probe=True):
            given = _like(shape, iter(probes)) if several else probes[0]
            found = returned(self.call(given), self.label)
        self._input_shape, self.built = shape, True
        outputs = list(leaves(found))
        self._output_shape = filled(found, ((None, *value.shape[1:]) for value in outputs))
        self._shapes = _traced_shapes(self.layers, outputs)

    def _probe(self, shape: Shape) -> Value:
        if any(n is None for n in shape[1:]):
            raise ArgumentError(f"the size of each axis but the first is needed, not {shape}")
        return placeholder((1, *(n or 0 for n in shape[1:])), self.dtype, "the model's input")

    def input_specs(self) -> list[Spec]:
        """Return shape (of one sample) and dtype of each input of a graph; else nothing."""
        return []

    def formed(self, inputs: list[Value]) -> Any:
        """Return the inputs in the form that `call` takes: one, a list, or a dict by name."""
        form = self._form
        if isinstance(form, Mapping):
            return dict(zip(form, inputs, strict=True))
        return inputs[0] if form is None and len(inputs) == 1 else inputs

    def shaped(self, outputs: list[Array]) -> Any:
        """Return the outputs of `predict` in the form that `call` returns them in."""
        return filled(self._returned, iter(outputs))

    def step_shape(self) -> Shape:
        """Return the shape of what the step takes, its first axis ``None``."""
        return self.input_shape

    def _expected_rank(self) -> int | None:
        return len(self.step_shape()) if self.built else None

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order they were added."""
        return self.sublayers()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or position.

        Raises
        ------
        ArgumentError
            Where there is none of this name or at this position.
        """
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ArgumentError(f"there are {len(self.layers)} layers, no layer {index}")
            return self.layers[index]
        known = {layer.name: layer for layer in self.layers}
        if name not in known:
            raise unknown_name("layer", name, known)
        return known[name]

    def layer_shapes(self) -> dict[str, Shape]:
        """Return the output shapes of the layers by name, as far as they are known."""
        return self._shapes

    @property
    def input_shape(self) -> Shape:
        """The shape of the input, its first axis ``None``."""
        if self._input_shape is None:
            raise NotBuiltError(f"model {self.name!r} does not know the shape of its input yet")
        return self._input_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of the output, its first axis ``None``."""
        if self._output_shape is None:
            raise NotBuiltError(f"model {self.name!r} does not know the shape of its output yet")
        return self._output_shape

    @property
    def optimizer(self) -> Any:
        """The optimizer given to `compile`, or ``None``."""
        return None if self._trainer is None else self._trainer.optimizer

    @property
    def loss(self) -> Any:
        """The loss made of what `compile` was given, or ``None``."""
        return None if self._trainer is None else self._trainer.loss

    @property
    def metrics(self) -> list[Any]:
        """The metrics made of what `compile` was given, once a step has run; see `train_step`."""
        return [] if self._trainer is None else self._trainer.listed()

    @property
    def metrics_names(self) -> list[str]:
        """The names of the numbers that `evaluate` returns."""
        return [] if self._trainer is None else list(self._trainer.logs())

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        custom_objects: Mapping[str, type[Layer]] | None = None,
    ) -> Any:
        """Return the model that `get_config` described; `custom_objects` are your own layers.

        Raises
        ------
        ArgumentError
            Where the class does not take these arguments.
        """
        if "entries" in config:
            from chainrule.models.functional import Functional, grown

            return Functional.from_config.__func__(  # type: ignore[attr-defined]
                grown(cls), config, custom_objects
            )
        return super().from_config(dict(config))

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print the layers with their output shapes and numbers of weights.

        Parameters
        ----------
        line_length : int, optional
            The letters of a line, by default those of the terminal.
        print_fn : callable, optional
            Takes the text instead of the standard output.
        expand_nested : bool, default False
            Whether to list the layers of models within the model.
        show_trainable : bool, default False
            Whether to say which layers training moves.
        layer_range : pair of str, optional
            The names (or regular expressions for them) of the first and the last layer to list.

        Raises
        ------
        ArgumentError
            For a `layer_range` that no layers fit.

        Examples
        --------
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((4,)), Dense(3, name="out")], name="tiny")
        >>> model.summary(print_fn=lambda text: print(text.splitlines()[-3]))
         Total params: 15 (60 bytes)
        """
        from rich.console import Console

        console = Console(width=line_length)
        table = summary.table(self, expand_nested, show_trainable, layer_range)
        table.width = line_length
        with console.capture() as captured:
            console.print(table)
            for line in summary.totals(self):
                console.print(line, highlight=False)
        text = captured.get().rstrip("\n")
        (print_fn or print)(text)

    def memory(self, batch_size: int = 32) -> Memory:
        """Return the bytes that training takes, from the plan of its step.

        Parameters
        ----------
        batch_size : int, default 32
            The samples of a step.

        Raises
        ------
        NotBuiltError
            Where the shape of the input is not known yet.
        MemoryLimitError
            Where no plan keeps to the `memory_limit` that `compile` was given.

        Examples
        --------
        >>> from chainrule.layers import Dense, Input
        >>> from chainrule.models import Sequential
        >>> model = Sequential([Input((4,)), Dense(3)])
        >>> model.compile("sgd", "mse")
        >>> model.memory(batch_size=8).weights
        60
        """
        size = whole("batch_size", batch_size)
        return memory(self, self._any_trainer(), size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model into one file: layers, weights, vocabularies, optimizer, counters.

        The file (extension ``.chainrule``) is safetensors with JSON, holds no code, and appears
        complete or not at all. `load_model` reads it, given classes and functions of your own as
        `custom_objects`. With ``.keras`` or ``.h5`` a file of Keras's own, of layers and weights.

        Raises
        ------
        FileError
            Where it cannot be written, or not all of it told by names: see `save_weights`.
        """
        saving.save(self, path)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write the weights alone into one file; one of Keras's as ``.weights.h5`` or ``.h5``.

        Raises
        ------
        FileError
            Where it cannot be written.
        """
        saving.save_weights(self, path)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read weights into this model, which must have the structure of the one that wrote them.

        Files of Keras's and files of whole models will do as well.

        Raises
        ------
        FileError
            For a file that is missing, damaged, or of another structure; the model stays as it was.
        """
        saving.load_weights(self, path)


def _each(shapes: Any) -> Iterator[Shape]:
    """Yield the shapes in a list or dict of them."""
    for part in shapes.values() if isinstance(shapes, Mapping) else shapes:
        yield tuple(part)


def _like(shapes: Any, parts: Iterator[Any]) -> Any:
    """Return the parts in the places of the shapes."""
    if isinstance(shapes, Mapping):
        return {name: next(parts) for name in shapes}
    return [next(parts) for _ in shapes]


def _without_training(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `call` that may be told whether it is training, for one that does not care."""

    @functools.wraps(call)
    def wrapped(self: Any, *inputs: Any, training: bool = False, **named: Any) -> Any:
        return call(self, *inputs, **named)

    return wrapped


def _traced_shapes(layers: Sequence[Layer], outputs: Sequence[Value]) -> dict[str, Shape]:
    """Return each layer's output shape, from the last node made within it."""
    found: dict[str, Shape] = {}
    for node in ordered(outputs):
        for layer in layers:
            if layer.label in node.path:
                found[layer.name] = (None, *node.outputs[0].shape[1:])
    return found
