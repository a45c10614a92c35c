"""Admission by Python objects: registered in the joining process, and called there; they are never stored."""

import inspect
import math
from dataclasses import dataclass, field
from typing import Any, Protocol

from converge_redis.core.namespace import Namespace
from converge_redis.core.validation import short_repr, validate_id
from converge_redis.errors import (
    AdmissionDeniedError,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
)
from converge_redis.pools.model import AdmissionPolicy, CustomAdmission, Pool


class TrustProvider(Protocol):
    """Returns how far agents are trusted."""

    def get_trust(self, agent_id: str) -> float:
        """Return the trust in an agent, which must reach the ``trust_threshold`` of a pool that it joins."""


class PolicyRegistry:
    """The policy objects of one manager."""

    def __init__(self) -> None:
        self._of_pools: dict[str, tuple[str, AdmissionPolicy]] = {}
        self._by_name: dict[str, AdmissionPolicy] = {}
        self._trust: TrustProvider | None = None

    def register(self, name: str, policy: AdmissionPolicy) -> None:
        """Register a policy for all pools that name it."""
        self._by_name[validate_id("name", name)] = require_method(policy, "policy", "can_admit")

    def register_for(self, pool_id: str, name: str, policy: AdmissionPolicy) -> None:
        """Register a policy for one pool: two of the same class may differ in what they admit."""
        self._of_pools[pool_id] = (name, policy)

    def register_trust(self, provider: TrustProvider) -> None:
        """Register the trust provider."""
        self._trust = require_method(provider, "provider", "get_trust")

    def unregister(self, pool_id: str) -> None:
        """Drop the policy of one pool."""
        self._of_pools.pop(pool_id, None)

    def check_admission(self, agent_id: str, pool: Pool) -> None:
        """Call the policy and the trust provider for an agent that joins a pool.

        Raises:
            AdmissionDeniedError: The agent is not admitted.
            ConfigurationError: The policy or the provider is not registered in this process.
            InvalidTypeError, InvalidValueError: It returned something else than a bool or a number.
        """
        policy = self._policy_of(pool)
        if policy is not None:
            admits: Any = policy.can_admit(agent_id, pool)
            if not isinstance(admits, bool):
                raise _wrong_result("can_admit", "True or False", admits)
            if not admits:
                raise AdmissionDeniedError(
                    f"the admission policy of pool {pool.id!r} does not admit agent {agent_id!r}",
                    "policy",
                    agent_id,
                    pool.id,
                )
        if pool.trust_threshold is not None:
            trust, threshold = self._trust_in(agent_id, pool, policy), pool.trust_threshold
            if trust < threshold:
                raise AdmissionDeniedError(
                    f"pool {pool.id!r} requires a trust of {threshold}, agent {agent_id!r} has {trust}",
                    "untrusted",
                    agent_id,
                    pool.id,
                )

    def _policy_of(self, pool: Pool) -> AdmissionPolicy | None:
        if not isinstance(pool.admission_policy, CustomAdmission):
            return None
        name = pool.admission_policy.name
        own_name, own = self._of_pools.get(pool.id, ("", None))
        policy = own if own_name == name else self._by_name.get(name)
        if policy is None:
            raise ConfigurationError(
                f"pool {pool.id!r} needs the admission policy {name!r}, which this process does not have: "
                f"register it with use_policy({name!r}, policy)"
            )
        return policy

    def _trust_in(self, agent_id: str, pool: Pool, policy: Any) -> float:
        provider: TrustProvider | None = policy if hasattr(policy, "get_trust") else self._trust
        if provider is None:
            raise ConfigurationError(
                f"pool {pool.id!r} requires a trust of {pool.trust_threshold}, and this process has no trust "
                "provider: register an object with get_trust(agent_id) by use_trust(provider)"
            )
        trust: Any = provider.get_trust(agent_id)
        if isinstance(trust, bool) or not isinstance(trust, int | float):
            raise _wrong_result("get_trust", "a number", trust)
        if not math.isfinite(trust):
            raise InvalidValueError(
                f"get_trust must return a finite number, not {trust} (agent {agent_id!r})"
            )
        return float(trust)


def require_method(candidate: Any, name: str, method: str) -> Any:
    """Validate that an object has a method that is a plain function."""
    act = getattr(candidate, method, None)
    if isinstance(candidate, type) or not callable(act):
        raise InvalidTypeError(
            f"{name} must be an object with the method {method}, not {short_repr(candidate)}"
        )
    if inspect.iscoroutinefunction(act):
        raise InvalidTypeError(
            f"{name}.{method} must be a plain function, not a coroutine: {short_repr(candidate)}"
        )
    return candidate


def _wrong_result(method: str, expected: str, result: Any) -> InvalidTypeError:
    if inspect.iscoroutine(result):
        result.close()  # else Python warns that it was never awaited
    return InvalidTypeError(
        f"{method} must return {expected}, not {type(result).__name__} {short_repr(result)}"
    )


@dataclass(frozen=True, slots=True)
class PoolContext:
    """What the operations of a pool manager work on.

    Attributes:
        namespace: The namespace.
        policies: The manager's policy objects.
    """

    namespace: Namespace
    policies: PolicyRegistry = field(default_factory=PolicyRegistry)
