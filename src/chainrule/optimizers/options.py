"""The options that every optimizer takes, beside the arguments of its rule."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph import Variable

DEFAULTS: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "adaptive_clip": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
    "loss_scale_factor": None,
    "skip_nonfinite": False,
}
_CLIPS = ("clipnorm", "clipvalue", "global_clipnorm", "adaptive_clip")


class Options:
    """What is done to gradients before, and to weights after the rule; by default nothing.

    Parameters
    ----------
    weight_decay : float, optional
        At least 0. Before the rule ``w`` becomes ``w - weight_decay * rate * w``, except for the
        weights named in `exclude_from_weight_decay`.
    clipnorm : float, optional
        Above 0: each gradient becomes ``g * min(1, clipnorm / |g|)``, each variable by itself.
    clipvalue : float, optional
        Above 0: each element of a gradient is cut to ``[-clipvalue, clipvalue]``.
    global_clipnorm : float, optional
        Above 0: as `clipnorm`, with one norm over the gradients of all variables.
    adaptive_clip : float, optional
        Above 0: the gradient of a unit becomes at most so many times as long as its weights.
    use_ema : bool, default False
        Keep a running average of each weight, ``a' = ema_momentum * a + (1 - ema_momentum) * w'``;
        the first is w' itself. At the end of `fit`, or by `finalize_variable_values`, the weights
        become their averages.
    ema_momentum : float, default 0.99
        From 0 to 1.
    ema_overwrite_frequency : int, optional
        At least 1: after every so many steps too.
    gradient_accumulation_steps : int, optional
        At least 1: a step is made of the mean of the gradients of so many batches.
    loss_scale_factor : float, optional
        Above 0: gradients are taken of the loss times this and divided by it after, so that small
        ones do not vanish in arithmetic of low precision. In loops by hand, take them of
        ``optimizer.scale_loss(loss)``.
    skip_nonfinite : bool, default False
        A batch whose gradients hold a NaN or an infinity changes nothing, as if it had not been
        there: in `fit` no weight, no running mean, no number of the epoch; ``optimizer.skipped``
        counts them.

    Raises
    ------
    ArgumentError
        For a name that is no option, a number out of its range, or two ways of clipping.

    Examples
    --------
    >>> from chainrule.optimizers import SGD
    >>> SGD(0.1, clipnorm=1.0, weight_decay=1e-4).get_config()["clipnorm"]
    1.0

    Source
    ------
    Keras 3's names and meanings, except that `adaptive_clip` and `skip_nonfinite` are not among
    them. Adaptive clipping: Brock et al., "High-Performance Large-Scale Image Recognition Without
    Normalization", arXiv 2102.06171, equation 3. With `gradient_accumulation_steps` the moving
    average advances with the steps, in Keras with the batches.
    """

    def __init__(self, **options: Any) -> None:
        for name in options:
            if name not in DEFAULTS:
                raise unknown_name("option of an optimizer", name, [*_arguments(type(self))])
        given = {**DEFAULTS, **options}
        self.weight_decay = _number("weight_decay", given, least=0.0)
        self.clipnorm = _positive("clipnorm", given)
        self.clipvalue = _positive("clipvalue", given)
        self.global_clipnorm = _positive("global_clipnorm", given)
        self.adaptive_clip = _positive("adaptive_clip", given)
        self.use_ema = bool(given["use_ema"])
        self.ema_momentum = _share("ema_momentum", given)
        self.ema_overwrite_frequency = _count("ema_overwrite_frequency", given)
        self.gradient_accumulation_steps = _count("gradient_accumulation_steps", given)
        self.loss_scale_factor = _positive("loss_scale_factor", given)
        self.skip_nonfinite = bool(given["skip_nonfinite"])
        self._undecayed: set[int] = set()
        self._undecayed_names: list[str] = []
        clips = [name for name in _CLIPS if getattr(self, name) is not None]
        if len(clips) > 1:
            raise ArgumentError(f"gradients are clipped in one way; given are {', '.join(clips)}")

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Let `weight_decay` leave these weights alone; before the model is compiled.

        Parameters
        ----------
        var_list : iterable of Variable, optional
        var_names : iterable of str, optional
            Regular expressions; a weight is excluded where one is found in its name.

        Raises
        ------
        ArgumentError
            For an expression that is none.

        Examples
        --------
        >>> from chainrule.optimizers import SGD
        >>> optimizer = SGD(0.1, weight_decay=1e-4)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        """
        listed = list(var_list or [])
        self._undecayed = {id(v) for v in listed}
        self._undecayed_names = [f"^{re.escape(v.name)}$" for v in listed if v.name]
        for name in var_names or []:
            try:
                re.compile(name)
            except (re.error, TypeError) as error:
                raise ArgumentError(f"{name!r} is no regular expression: {error}") from error
            self._undecayed_names.append(name)

    def _decays(self, variable: Variable) -> bool:
        """Return whether `weight_decay` moves this weight."""
        if not self.weight_decay or id(variable) in self._undecayed:
            return False
        return not any(re.search(name, variable.name) for name in self._undecayed_names)

    def options_config(self) -> dict[str, Any]:
        """Return the options as plain data."""
        config = {k: getattr(self, k) for k in DEFAULTS}
        if self._undecayed_names:
            config["undecayed"] = list(self._undecayed_names)
        return config


def without_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an optimizer without the options that are as by default."""
    return {k: v for k, v in config.items() if k not in DEFAULTS or v != DEFAULTS[k]}


def accepted(kind: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without the options that are as by default and that a class of the
    user's does not take."""
    parameters = signature(kind).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return dict(config)
    needed = without_defaults(config)
    return {k: v for k, v in config.items() if k in needed or k in parameters}


def _arguments(kind: type) -> dict[str, Any]:
    """Return the names of what an optimizer of this class takes."""
    own = [name for name, p in signature(kind).parameters.items() if p.kind is not p.VAR_KEYWORD]
    return {**dict.fromkeys(own), **DEFAULTS}


def _number(name: str, given: dict[str, Any], least: float) -> float | None:
    value = given[name]
    if value is None:
        return None
    if not isinstance(value, int | float | np.number) or not least <= value < math.inf:
        raise ArgumentError(
            f"{name} is {value!r}; expected a number of at least {least:g}, or None"
        )
    return float(value)


def _positive(name: str, given: dict[str, Any]) -> float | None:
    value = _number(name, given, least=0.0)
    if value == 0.0:
        raise ArgumentError(f"{name} is 0; expected a number above 0, or None")
    return value


def _share(name: str, given: dict[str, Any]) -> float:
    value = given[name]
    if not isinstance(value, int | float | np.number) or not 0.0 <= value <= 1.0:
        raise ArgumentError(f"{name} is {value!r}; expected a number from 0 to 1")
    return float(value)


def _count(name: str, given: dict[str, Any]) -> int | None:
    value = given[name]
    if value is None:
        return None
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{name} is {value!r}; expected a whole number of at least 1, or None")
    return int(value)
