"""Pools: the specification that `create_pool` takes, and the snapshot that `get_pool` returns."""

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)
from pydantic_core import ErrorDetails

from converge_redis.core.ids import uuid7
from converge_redis.core.topic import Topic
from converge_redis.core.validation import (
    MAX_PRIORITY,
    short_repr,
    validate_choice,
    validate_id,
    validate_ids,
    validate_integer,
)
from converge_redis.errors import InvalidTypeError, InvalidValueError

MAX_ADMITTED = 10_000
"""The most agents of a whitelist, and the most tokens of a token policy."""

M = TypeVar("M", bound=BaseModel)


class OpenAdmission(BaseModel):
    """Admit every agent."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["open"] = "open"


def _allowed(value: Any) -> list[str]:
    return sorted(set(_listed("spec.admission_policy.allowed", validate_ids, value)))


class WhitelistAdmission(BaseModel):
    """Admit the agents of a list.

    Attributes:
        allowed: Their ids, at most 10,000; stored in sorted order.
    """

    model_config = ConfigDict(extra="forbid")

    type: Literal["whitelist"] = "whitelist"
    allowed: Annotated[list[str], BeforeValidator(_allowed)]


def _digests_of_tokens(values: Any) -> list[str]:
    """Replace secrets by their digests at once; a prefix distinguishes the two."""
    tokens = _listed("spec.admission_policy.tokens", _secrets, values)
    if not tokens:
        raise InvalidValueError("spec.admission_policy.tokens must hold at least one token")
    return sorted({token if _is_digest(token) else _PREFIX + token_digest(token) for token in tokens})


_PREFIX = "sha256:"


def _is_digest(token: str) -> bool:
    digits = token.removeprefix(_PREFIX)
    return len(digits) == len(token) - len(_PREFIX) == 64 and set(digits) <= set("0123456789abcdef")


class TokenAdmission(BaseModel):
    """Admit agents that present one of the tokens.

    The tokens are secrets, of which only digests are kept, also in this object. Make them long and random,
    for instance with ``secrets.token_urlsafe()``: a reader of the store can try guesses against the digests.

    Attributes:
        tokens: At most 10,000; each is replaced at once by ``"sha256:"`` and its digest in hexadecimal
            digits. Such digests may be given in place of tokens.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: Literal["token"] = "token"
    tokens: Annotated[list[str], BeforeValidator(_digests_of_tokens)]

    @property
    def digests(self) -> list[str]:
        """The SHA-256 digests of the tokens, in hexadecimal digits."""
        return [token.removeprefix(_PREFIX) for token in self.tokens]


class CustomAdmission(BaseModel):
    """Call a Python object of the joining process, which is registered there under this name.

    Attributes:
        name: The name, as given to `PoolManager.use_policy`.
    """

    model_config = ConfigDict(extra="forbid")

    type: Literal["custom"] = "custom"
    name: Annotated[str, BeforeValidator(lambda value: validate_id("spec.admission_policy.name", value))]


Admission = OpenAdmission | WhitelistAdmission | TokenAdmission | CustomAdmission
_ADMISSIONS: dict[str, type[Admission]] = {
    "open": OpenAdmission,
    "whitelist": WhitelistAdmission,
    "token": TokenAdmission,
    "custom": CustomAdmission,
}


class AdmissionPolicy(Protocol):
    """A Python object that decides which agents may join; it stays in its process and is never stored."""

    def can_admit(self, agent_id: str, pool: "Pool") -> bool:
        """Return whether an agent may join a pool.

        Args:
            agent_id: The agent that joins.
            pool: The pool as it is; if it changes before the agent has joined, the policy is called again.
        """


def _admission(value: Any) -> Any:
    """Validate an admission policy; a Python object passes, and is registered by the manager."""
    field = "spec.admission_policy"
    if value is None:
        return OpenAdmission()
    if isinstance(value, Admission):
        return validated(type(value), field, dict(value))
    if isinstance(value, str):
        value = {"type": value}
    if isinstance(value, Mapping):
        kind = validate_choice(f"{field}.type", value.get("type"), _ADMISSIONS)
        return validated(_ADMISSIONS[kind], field, value)
    if isinstance(value, type) or not callable(getattr(value, "can_admit", None)):
        raise InvalidTypeError(
            f"{field} must be None, an admission policy, its name or mapping, or an object with the method "
            f"can_admit(agent_id, pool), not {short_repr(value)}"
        )
    return value


def policy_name(policy: AdmissionPolicy) -> str:
    """Return the name under which a policy object is stored: its own ``name``, else that of its class."""
    name = getattr(policy, "name", None)
    if not isinstance(name, str) or not name:
        name = type(policy).__name__
    return validate_id("spec.admission_policy.name", name)


def _as_data(value: Any) -> dict[str, Any]:
    data = value if isinstance(value, Admission) else CustomAdmission(name=policy_name(value))
    return data.model_dump()


def _trust_threshold(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTypeError(f"spec.trust_threshold must be a number from 0 to 1, not {short_repr(value)}")
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise InvalidValueError(f"spec.trust_threshold must be from 0 to 1, not {short_repr(value)}")
    return float(value)


def _max_agents(value: Any) -> int | None:
    return None if value is None else validate_integer("spec.max_agents", value, 1, MAX_PRIORITY)


def _topics(value: Any) -> list[Topic]:
    return [Topic(topic) for topic in dict.fromkeys(validate_ids("spec.topics", value))]


class PoolSpec(BaseModel):
    """The specification of a pool.

    Attributes:
        id: The id, up to 512 bytes of any text; by default a UUIDv7.
        topics: The topics of the pool.
        admission_policy: Which agents may join: `OpenAdmission` (None: the same), `WhitelistAdmission`,
            `TokenAdmission`, a mapping such as ``{"type": "token", "tokens": [...]}``, or an object with
            ``can_admit(agent_id, pool) -> bool``, which the joining process calls.
        governance: How the pool decides, as any payload; stored, not interpreted.
        trust_threshold: The trust, from 0 to 1, that an agent needs to join; None: none.
        max_agents: The most members; None: no limit.
        metadata: Any further data about the pool; stored, not interpreted.
    """

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    id: Annotated[str, BeforeValidator(lambda value: validate_id("spec.id", value))] = Field(
        default_factory=uuid7
    )
    topics: Annotated[list[Topic], PlainValidator(_topics)] = Field(default_factory=list)
    admission_policy: Annotated[
        Admission | AdmissionPolicy | Mapping[str, Any] | str | None,
        PlainValidator(_admission),
        PlainSerializer(_as_data),
    ] = Field(default_factory=OpenAdmission)
    governance: Any = None
    trust_threshold: Annotated[float | None, BeforeValidator(_trust_threshold)] = None
    max_agents: Annotated[int | None, BeforeValidator(_max_agents)] = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Pool(PoolSpec):
    """A pool as it was when it was read; changing it changes nothing in the store.

    Attributes:
        admission_policy: As in `PoolSpec`; a Python object shows as `CustomAdmission` with its name.
        members: The ids of its agents, in the order of joining.
        created_at: When it was created (server time, Unix seconds).
        version: Grows with each change of the members; a pool that is created again does not repeat one.
    """

    admission_policy: Annotated[Admission, PlainValidator(_admission), PlainSerializer(_as_data)] = Field(
        default_factory=OpenAdmission
    )
    members: list[str] = Field(default_factory=list)
    created_at: float = 0.0
    version: int = 0


def token_digest(token: Any) -> str:
    """Return the SHA-256 of a token in hexadecimal digits; errors do not show the token."""
    if not isinstance(token, str):
        raise InvalidTypeError(f"token must be a string, not {type(token).__name__}")
    if not token:
        raise InvalidValueError("token must not be empty")
    try:
        return hashlib.sha256(token.encode()).hexdigest()
    except UnicodeEncodeError:
        raise InvalidValueError("token is not valid Unicode text") from None


def validate_spec(spec: Any) -> PoolSpec:
    """Validate the argument of `create_pool`: a `PoolSpec`, or a mapping with its fields.

    Raises:
        InvalidTypeError, InvalidValueError: It is neither, or a field is malformed or unknown.
    """
    if isinstance(spec, PoolSpec):  # validated again: its lists may have been changed in place
        return validated(PoolSpec, "spec", {name: getattr(spec, name) for name in PoolSpec.model_fields})
    if isinstance(spec, Mapping):
        return validated(PoolSpec, "spec", spec)
    raise InvalidTypeError(
        f"spec must be a PoolSpec or a mapping, not {type(spec).__name__} {short_repr(spec)}"
    )


def validated(model: type[M], field: str, values: Mapping[str, Any]) -> M:
    """Make a model of values; pydantic's error becomes one that names the field and the value."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as refusal:
        raise _explain(model, field, refusal.errors()[0]) from None  # it may quote a token


def _explain(model: type[BaseModel], field: str, error: ErrorDetails) -> InvalidValueError:
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, InvalidValueError):
        return cause
    where = ".".join([field, *map(str, error["loc"])])
    if error["type"] == "extra_forbidden":
        return InvalidValueError(
            f"{where} is unknown; {field} has the fields {', '.join(model.model_fields)}"
        )
    if error["type"] == "missing":
        return InvalidValueError(f"{where} is missing")
    return InvalidValueError(f"{where} is malformed: {error['msg']}, not {short_repr(error['input'])}")


def _secrets(field: str, values: Any) -> tuple[str, ...]:
    if isinstance(values, str | bytes) or not isinstance(values, list | tuple | set | frozenset):
        raise InvalidTypeError(f"{field} must be a list of strings, not {type(values).__name__}")
    for value in values:
        token_digest(value)
    return tuple(values)


def _listed(field: str, check: Any, values: Any) -> tuple[str, ...]:
    checked: tuple[str, ...] = check(field, values)
    if len(checked) > MAX_ADMITTED:
        raise InvalidValueError(f"{field} has {len(checked)} entries, the limit is {MAX_ADMITTED}")
    return checked
