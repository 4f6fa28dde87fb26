"""Forms: what graphs have in common that differ in their arrays alone.

A loop written by hand makes the same graph in every turn, around other arrays. Work that was done
for one of them, a derivative or a program, is found again under its form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph.function import Call, Function
from chainrule.graph.value import Clock, Node, Value, Variable

# What stands for an argument: the number of a leaf, a variable, a single number by its bytes, or
# the form of the node it came of, its place there, and the numbers of the leaves of that node.
Token = Any
Leaves = tuple[Value, ...]
Forms = dict[tuple[Token, ...], "Form"]

# Beyond this many arrays, telling them apart costs more than it saves.
_MOST_LEAVES = 16
_MOST_FORMS = 1024  # in one place; then they are found anew
_NUMBERS = [tuple(range(n)) for n in range(_MOST_LEAVES + 1)]


class Form:
    """An operation and what it is applied to, each made once: equal forms are the same object.

    `variables` are those that a value of this form is computed from. `derivatives` holds what was
    found out about its gradients.
    """

    __slots__ = ("__weakref__", "derivatives", "forms", "key", "variables")

    def __init__(self, key: tuple[Token, ...]) -> None:
        self.key = key
        self.variables: dict[Variable, None] = {}
        if key and isinstance(key[0], Function):
            own = (v.variable for v in key[0].variables)
            self.variables.update((v, None) for v in own if v is not None)
        for token in key:
            if isinstance(token, Variable):
                self.variables[token] = None
            elif type(token) is tuple and token and type(token[0]) is Form:
                self.variables.update(token[0].variables)
        self.derivatives: dict[Any, Any] = {}
        self.forms: Forms | None = None


# The form of graphs that are not described: of too many arrays, or partly computed already.
VAGUE = Form(())

_forms: Forms = {}  # those that depend on no variable


def describe(node: Node) -> Form:
    """Return the form of the node, which keeps it, and of those behind it."""
    if node.form is None:
        for a in node.arguments:
            if a.node is not None and a.node.form is None:
                _describe_all(node)
                break
        else:
            _describe(node)
    form: Form = node.form
    return form


def _describe_all(node: Node) -> None:
    """Describe the nodes behind this one, each after those it depends on, and this one."""
    stack = [node]
    while stack:
        top = stack[-1]
        behind = [a.node for a in top.arguments if a.node is not None and a.node.form is None]
        if behind and top.form is None:
            stack.extend(behind)
        else:
            stack.pop()
            if top.form is None:
                _describe(top)


def _describe(node: Node) -> None:
    """Give the node its form and leaves, and the time of the first node behind it."""
    arguments = node.arguments
    if type(node) is Call and node.own is not None:
        arguments = arguments[: node.own]  # the others follow from the function
    tokens, node.leaves = tokens_of(arguments)
    if tokens is None:
        node.form = VAGUE
        return
    node.form = intern((node.op, *tokens, *node.attributes.items()))
    node.born = node.made_at
    for a in arguments:
        if a.node is not None and a.node.born < node.born:
            node.born = a.node.born


def intern(key: tuple[Token, ...]) -> Form:
    """Return the form with this key."""
    forms = _forms_of(key)
    form = forms.get(key)
    if form is None:
        if len(forms) >= _MOST_FORMS:
            forms.clear()
        form = forms[key] = Form(key)
    return form


def _forms_of(key: tuple[Token, ...]) -> Forms:
    """Return where the form with this key is kept: with what it is made of, so that variables are
    not kept alive by what is known of them."""
    owner: Any = key[0] if isinstance(key[0], Function) else None
    for token in key:
        if isinstance(token, Variable):
            owner = token
            break
        if type(token) is tuple and token and type(token[0]) is Form:
            owner = token[0]
            break
    if owner is None:
        return _forms
    if owner.forms is None:
        owner.forms = {}
    forms: Forms = owner.forms
    return forms


def tokens_of(values: Sequence[Value]) -> tuple[list[Token] | None, Leaves]:
    """Return what stands for each value, and the leaves that are numbered there; one token for
    several values that are the first outputs of one node.

    No tokens are returned where one of them is not described.
    """
    if len(values) > 1 and values[0].node is not None and values[0].node is values[1].node:
        whole, count = values[0].node, 0
        for v in values:
            count += v.node is whole and v.index == count and v._result is None
        if count == len(values) and describe(whole) is not VAGUE:
            return [(whole.form, -count, _NUMBERS[len(whole.leaves)])], whole.leaves
    leaves: Leaves = ()
    tokens: list[Token] = []
    for v in values:
        node = v.node
        if node is not None:
            form = node.form or describe(node)
            if form is VAGUE or v._result is not None:
                return None, ()
            if node.leaves is leaves:
                numbers = _NUMBERS[len(leaves)]
            else:
                leaves, numbers = _numbered(leaves, node.leaves)
            tokens.append((form, v.index, numbers))
        elif v.variable is not None:
            tokens.append(v.variable)
        elif v.constant is not None and not v.spec.shape:
            # Single numbers are part of the form, so that they can be folded into the program.
            tokens.append((v.spec.dtype, v.constant.tobytes()))
        else:
            leaves, (number,) = _numbered(leaves, (v,))
            tokens.append((number, v.spec.shape, v.spec.dtype))
        if len(leaves) > _MOST_LEAVES:
            return None, ()
    return tokens, leaves


def _numbered(leaves: Leaves, more: Leaves) -> tuple[Leaves, tuple[int, ...]]:
    """Return the leaves with those added that are new, and the numbers of `more` among them."""
    if not leaves:
        return more, _NUMBERS[len(more)]
    numbers = []
    for v in more:
        number = 0
        for known in leaves:
            if known is v:
                break
            number += 1
        else:
            leaves = (*leaves, v)
        numbers.append(number)
    return leaves, tuple(numbers)


def up_to_date(node: Node) -> bool:
    """Return whether no variable behind the node has changed since the first node was made."""
    born = node.born
    return born == Clock.now or all(v.changed_at <= born for v in node.form.variables)
