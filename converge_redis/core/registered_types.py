"""Registered types: the pydantic models and dataclasses whose instances a store accepts as values."""

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import to_jsonable_python

from converge_redis.core.validation import short_repr, validate_id
from converge_redis.errors import ConfigurationError, StoreReplyError

_AS_TEXT = (
    decimal.Decimal,
    uuid.UUID,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
)


class RegisteredTypes:
    """A registry of types by name. The name and the fields are stored; no stored name is imported or run.

    A stored field that the type does not have is ignored, a field that is not stored takes its default.
    Values are validated by pydantic when they are read, with the type's own validators.

    Args:
        types: Models and dataclasses, stored under their ``__qualname__``; or a mapping from the names to
            store.

    Raises:
        ConfigurationError: An entry is neither, or two have the same name.
    """

    def __init__(self, types: Iterable[type] | Mapping[str, type]) -> None:
        self._names: dict[type, str] = {}
        self._types: dict[str, tuple[TypeAdapter[Any], type]] = {}
        try:
            named_types = (
                types.items() if isinstance(types, Mapping) else [(t.__qualname__, t) for t in types]
            )
        except (TypeError, AttributeError) as error:
            raise ConfigurationError(f"types must be a list of classes, not {short_repr(types)}") from error
        for name, kind in named_types:
            self._add(validate_id("types' name", name), kind)

    def _add(self, name: str, kind: Any) -> None:
        if not isinstance(kind, type) or not (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind)):
            raise ConfigurationError(
                f"types can hold pydantic models and dataclasses, and {short_repr(kind)} is neither"
            )
        if name in self._types:
            raise ConfigurationError(
                f"two types have the name {name!r}: give types as a mapping of names to classes"
            )
        try:
            self._types[name] = (TypeAdapter(kind), kind)
        except PydanticUserError as error:
            raise ConfigurationError(f"pydantic cannot validate {kind.__qualname__}: {error}") from error
        self._names[kind] = name

    def has(self, value: Any) -> bool:
        """Return whether the exact type of a value is registered."""
        return type(value) in self._names

    def stored_form(self, value: Any) -> list[Any]:
        """Return the stored form of a value: the name of its type, and its fields by name."""
        fields = {name: getattr(value, name) for name in _fields(type(value)) if hasattr(value, name)}
        extra = getattr(value, "model_extra", None) if isinstance(value, BaseModel) else None
        return [self._names[type(value)], fields | (extra or {})]

    def value_of(self, stored: Any) -> Any:
        """Make a value from its stored form.

        Raises:
            StoreReplyError: Its type is not registered, or does not accept the fields.
        """
        name, fields = stored
        if name not in self._types:
            raise StoreReplyError(
                f"stored data has the type {short_repr(name)}, which is not registered with this store: "
                "name it in the store's types"
            )
        adapter, kind = self._types[name]
        if not (issubclass(kind, BaseModel) and kind.model_config.get("extra") == "allow"):
            known = _fields(kind)
            fields = {field: value for field, value in fields.items() if field in known}
        try:
            return adapter.validate_python(fields, strict=False, by_alias=False, by_name=True)
        except ValidationError as error:
            raise StoreReplyError(
                f"stored data of the type {name!r} does not fit it: {error.errors(include_url=False)}"
            ) from error


def plain_field(value: Any) -> Any:
    """Return a field's value in a plain form that its annotation restores; None: it has no such form."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, pathlib.PurePath):
        return str(value)
    if isinstance(value, _AS_TEXT) and not isinstance(value, datetime.datetime):
        return to_jsonable_python(value)
    return None


def is_typed(value: Any) -> bool:
    """Return whether the type of a value could be registered."""
    return isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _fields(kind: Any) -> Iterable[str]:
    if issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return [field.name for field in dataclasses.fields(kind) if field.init]
