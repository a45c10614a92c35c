"""Admission by Python objects: they live in the process that joins, and are asked there."""

import inspect
import math
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from converge_redis.core.namespace import Namespace
from converge_redis.core.validation import check_id, shown
from converge_redis.errors import (
    AdmissionDeniedError,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
)
from converge_redis.pools.model import AdmissionPolicy, CustomAdmission, Pool


class TrustProvider(Protocol):
    """Tells how far an agent is trusted."""

    def get_trust(self, agent_id: str) -> float:
        """Return the trust in an agent; it joins where this reaches the pool's ``trust_threshold``."""


class Policies:
    """The policy objects that one manager knows."""

    def __init__(self) -> None:
        self._of_pools: dict[str, tuple[str, AdmissionPolicy]] = {}
        self._by_name: dict[str, AdmissionPolicy] = {}
        self._trust: TrustProvider | None = None

    def use(self, name: str, policy: AdmissionPolicy) -> None:
        """Register a policy for all pools that name it."""
        self._by_name[check_id("name", name)] = checked(policy, "policy", "can_admit")

    def use_for(self, pool_id: str, name: str, policy: AdmissionPolicy) -> None:
        """Register a policy for one pool: two of the same class may differ in what they admit."""
        self._of_pools[pool_id] = (name, policy)

    def use_trust(self, provider: TrustProvider) -> None:
        """Register who tells about trust."""
        self._trust = checked(provider, "provider", "get_trust")

    def forget(self, pool_id: str) -> None:
        """Drop the policy of one pool."""
        self._of_pools.pop(pool_id, None)

    def ask(self, agent_id: str, pool: Pool) -> None:
        """Ask whether an agent may join a pool.

        Raises:
            AdmissionDeniedError: It may not.
            ConfigurationError: The object to ask is not registered in this process.
            InvalidTypeError, InvalidValueError: What it answered is not an answer.
        """
        policy = self._policy_of(pool)
        if policy is not None:
            answer: Any = policy.can_admit(agent_id, pool)
            if not isinstance(answer, bool):
                raise _not_an_answer("can_admit", "True or False", answer)
            if not answer:
                raise AdmissionDeniedError(
                    f"the admission policy of pool {pool.id!r} does not admit agent {agent_id!r}", "policy"
                )
        if pool.trust_threshold is not None:
            trust, wanted = self._trust_in(agent_id, pool, policy), pool.trust_threshold
            if trust < wanted:
                raise AdmissionDeniedError(
                    f"pool {pool.id!r} wants a trust of {wanted}, agent {agent_id!r} has {trust}", "untrusted"
                )

    def _policy_of(self, pool: Pool) -> AdmissionPolicy | None:
        if not isinstance(pool.admission_policy, CustomAdmission):
            return None
        name = pool.admission_policy.name
        own_name, own = self._of_pools.get(pool.id, ("", None))
        policy = own if own_name == name else self._by_name.get(name)
        if policy is None:
            raise ConfigurationError(
                f"pool {pool.id!r} asks the admission policy {name!r}, which this process does not have: "
                f"register it with use_policy({name!r}, policy)"
            )
        return policy

    def _trust_in(self, agent_id: str, pool: Pool, policy: Any) -> float:
        provider: TrustProvider | None = policy if hasattr(policy, "get_trust") else self._trust
        if provider is None:
            raise ConfigurationError(
                f"pool {pool.id!r} wants a trust of {pool.trust_threshold}, and this process has nobody to "
                "ask for it: register an object that has get_trust(agent_id) with use_trust(provider)"
            )
        trust: Any = provider.get_trust(agent_id)
        if isinstance(trust, bool) or not isinstance(trust, int | float):
            raise _not_an_answer("get_trust", "a number", trust)
        if not math.isfinite(trust):
            raise InvalidValueError(
                f"get_trust must return a finite number, not {trust} (agent {agent_id!r})"
            )
        return float(trust)


def checked(candidate: Any, name: str, method: str) -> Any:
    """Check that an object has a method that is a plain function."""
    act = getattr(candidate, method, None)
    if isinstance(candidate, type) or not callable(act):
        raise InvalidTypeError(f"{name} must be an object with the method {method}, not {shown(candidate)}")
    if inspect.iscoroutinefunction(act):
        raise InvalidTypeError(
            f"{name}.{method} must be a plain function, not a coroutine: {shown(candidate)}"
        )
    return candidate


def _not_an_answer(method: str, wanted: str, answer: Any) -> InvalidTypeError:
    if inspect.iscoroutine(answer):
        answer.close()  # else Python warns that nobody awaited it
    return InvalidTypeError(f"{method} must return {wanted}, not {type(answer).__name__} {shown(answer)}")


@dataclass(frozen=True, slots=True)
class PoolSpace(Namespace):
    """A namespace, and the policy objects of the manager whose verbs are carried out in it."""

    policies: Policies = field(default_factory=Policies, repr=False, compare=False)

    @classmethod
    def of(cls, space: Namespace, policies: Policies) -> "PoolSpace":
        """Make the same namespace with a manager's policies."""
        given = {part.name: getattr(space, part.name) for part in fields(space) if part.init}
        return cls(**given, policies=policies)


def policies_of(space: Namespace) -> Policies:
    """Return the policy objects that go with a namespace; without a manager there are none."""
    return space.policies if isinstance(space, PoolSpace) else Policies()
