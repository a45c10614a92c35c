"""Griffe extension: show methods that are made from operation builders as methods in the API reference.

In the source, ``claim = method(claim_ops.claim)`` is an attribute. Inspecting the imported class does not
help: the wrapped function there is the builder, with its first parameter and its ``Operation``. So this
extension replaces each such attribute by a method with the docstring and the other parameters of the builder,
which returns the decoded result.
"""

from collections.abc import Iterator
from typing import Any

import griffe

MODULE = "converge_redis.store.methods"
BLOCKING = {f"{MODULE}.method", f"{MODULE}.near_cached_method"}
ASYNC = {f"{MODULE}.{name}" for name in ("async_method", "background_method", "async_near_cached_method")}
STREAMS = {f"{MODULE}.stream_method": "Iterator", f"{MODULE}.async_stream_method": "AsyncIterator"}


class Methods(griffe.Extension):
    """Replaces the attributes made by ``method`` and its variants, in all classes of a package."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Replace the attributes once the package and its builders are loaded."""
        for owner in _classes(pkg):
            for name, member in list(owner.members.items()):
                if (
                    isinstance(member, griffe.Attribute)
                    and isinstance(member.value, griffe.ExprCall)
                    and member.value.function.canonical_path in BLOCKING | ASYNC | STREAMS.keys()
                ):
                    owner.set_member(name, _method(member, member.value))


def _classes(owner: griffe.Module | griffe.Class) -> Iterator[griffe.Class]:
    for member in owner.members.values():
        if isinstance(member, griffe.Class):
            yield member
        if isinstance(member, griffe.Module | griffe.Class):
            yield from _classes(member)


def _returned(call: griffe.ExprCall, result: griffe.Expr) -> griffe.Expr:
    kind = STREAMS.get(call.function.canonical_path)
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
        returns=_returned(call, builder.returns.slice),  # the T of Operation[T], Procedure[T] or Stream[T]
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
