"""Griffe extension: the API reference shows the managers' verbs as the methods that they are.

To a reader of the source, ``claim = verb(claiming.claim)`` is an attribute; and importing the class does not
help, since what is found there names the builder as its origin, with its namespace and its ``Operation``.
So each such attribute is replaced by a method with the builder's docstring and its other parameters, which
returns what the operation is decoded to.
"""

from collections.abc import Iterator
from typing import Any

import griffe

BLOCKING = {"converge_redis.store.methods.verb", "converge_redis.store.methods.near_verb"}
ASYNC = {
    "converge_redis.store.methods.averb",
    "converge_redis.store.methods.background_verb",
    "converge_redis.store.methods.near_averb",
}
ITERATING = {
    "converge_redis.store.methods.iterating_verb": "Iterator",
    "converge_redis.store.methods.iterating_averb": "AsyncIterator",
}


class Verbs(griffe.Extension):
    """Replaces the attributes that ``verb`` and its like make, in all classes of a package."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Do so once the package is loaded, builders included."""
        for holder in _classes(pkg):
            for name, member in list(holder.members.items()):
                if (
                    isinstance(member, griffe.Attribute)
                    and isinstance(member.value, griffe.ExprCall)
                    and member.value.function.canonical_path in BLOCKING | ASYNC | ITERATING.keys()
                ):
                    holder.set_member(name, _method(member, member.value))


def _classes(holder: griffe.Module | griffe.Class) -> Iterator[griffe.Class]:
    for member in holder.members.values():
        if isinstance(member, griffe.Class):
            yield member
        if isinstance(member, griffe.Module | griffe.Class):
            yield from _classes(member)


def _returned(call: griffe.ExprCall, result: griffe.Expr) -> griffe.Expr:
    kind = ITERATING.get(call.function.canonical_path)
    return griffe.ExprSubscript(griffe.ExprName(kind), result) if kind else result


def _method(attribute: griffe.Attribute, call: griffe.ExprCall) -> griffe.Function:
    argument: Any = call.arguments[0]
    builder: Any = attribute.modules_collection[argument.canonical_path]
    own = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    method = griffe.Function(
        attribute.name,
        lineno=attribute.lineno,
        endlineno=attribute.endlineno,
        parameters=griffe.Parameters(own, *list(builder.parameters)[1:]),
        returns=_returned(call, builder.returns.slice),  # of Operation[T], Steps[T] or Gives[T]
    )
    doc = builder.docstring
    method.docstring = griffe.Docstring(
        doc.value,
        lineno=attribute.lineno,
        parent=method,
        parser=doc.parser,
        parser_options=doc.parser_options,
    )
    if call.function.canonical_path in ASYNC:
        method.labels.add("async")
    return method
