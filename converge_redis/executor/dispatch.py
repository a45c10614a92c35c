"""Dispatch: from a decision to the method or handler that executes it."""

from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from converge_redis.core.validation import short_repr, validate_integer
from converge_redis.errors import InvalidTypeError
from converge_redis.executor import decisions
from converge_redis.executor.decisions import Decision
from converge_redis.executor.outcomes import DecisionOutcome, OutcomeStatus, failure

Handler = Callable[[Any], Any]
Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class ActionPolicy:
    """Which decisions an executor executes.

    Args:
        allowed_actions: Their classes, or the names of those, such as ``"ClaimTask"``; None: all.
        max_decisions: The most decisions of one call of `execute`; None: no limit.
    """

    allowed_actions: Collection[str | type[Decision]] | None = None
    max_decisions: int | None = None

    def __post_init__(self) -> None:
        if self.allowed_actions is not None:
            if isinstance(self.allowed_actions, str) or not isinstance(self.allowed_actions, Collection):
                raise InvalidTypeError(
                    f"allowed_actions must be a list, not {short_repr(self.allowed_actions)}"
                )
            names = frozenset(_name_of(one) for one in self.allowed_actions)
            object.__setattr__(self, "allowed_actions", names)
        if self.max_decisions is not None:
            validate_integer("max_decisions", self.max_decisions, 0, 2**31)

    def denial(self, decision: Decision, number: int) -> str | None:
        """Return why a decision, the `number`-th of its call from 0 on, is not allowed; None: it is."""
        name = type(decision).__name__
        if self.allowed_actions is not None and name not in self.allowed_actions:
            return f"{name} is not one of the allowed actions"
        if self.max_decisions is not None and number >= self.max_decisions:
            return f"only {self.max_decisions} decisions of one call are executed"
        return None


def _name_of(action: object) -> str:
    if isinstance(action, type) and issubclass(action, Decision):
        return action.__name__
    if not isinstance(action, str):
        raise InvalidTypeError(f"allowed_actions must hold classes of decisions, not {short_repr(action)}")
    return action


@dataclass(slots=True)
class Dispatcher:
    """The managers and protocols of an executor; those that are None are not supported."""

    agent_id: str
    tasks: Any
    pools: Any
    auctions: Mapping[str, Any]
    negotiations: Any
    delegations: Any
    ballots: Any
    policy: ActionPolicy
    handlers: Mapping[type[Decision], Handler]

    def prepare(self, decision: Any, number: int) -> Call | DecisionOutcome:
        """Return the call that executes a decision, or the outcome where there is none."""
        if not isinstance(decision, Decision):
            error = InvalidTypeError(f"decisions must hold decisions, not {short_repr(decision)}")
            return failure(decision, error)
        denial = self.policy.denial(decision, number)
        if denial is not None:
            return DecisionOutcome(decision, OutcomeStatus.NOT_ALLOWED, reason=denial)
        call = self._find_call(decision)
        if call is None:
            reason = f"the executor has nothing that executes {short_repr(decision)}"
            return DecisionOutcome(decision, OutcomeStatus.NOT_SUPPORTED, reason=reason)
        return call

    def _find_call(self, decision: Decision) -> Call | None:
        handler = next(
            (self.handlers[kind] for kind in type(decision).__mro__ if kind in self.handlers), None
        )
        if handler is not None:
            return lambda: handler(decision)
        target, call = self._route(decision)
        return call if target is not None else None

    def _route(self, decision: Decision) -> tuple[Any, Call]:  # noqa: PLR0911, PLR0912 - one for each kind
        """Return the manager or protocol of a decision, and the call of its method."""
        agent, tasks, pools, negotiations = self.agent_id, self.tasks, self.pools, self.negotiations
        match decision:
            case decisions.SubmitTask(task):
                return tasks, lambda: tasks.submit(task)
            case decisions.ClaimTask(task_id):
                return tasks, lambda: tasks.claim(agent, task_id)
            case decisions.ReportTask(task_id, result):
                return tasks, lambda: tasks.report(agent, task_id, result)
            case decisions.CreatePool(spec):
                return pools, lambda: pools.create_pool(spec)
            case decisions.JoinPool(pool_id, token):
                return pools, lambda: pools.join_pool(agent, pool_id, token=token)
            case decisions.LeavePool(pool_id):
                return pools, lambda: pools.leave_pool(agent, pool_id)
            case decisions.SubmitBid(auction_id, amount, content):
                auction: Any = self.auctions.get(auction_id)
                return auction, lambda: auction.submit_bid(agent, amount, content, strict=True)
            case decisions.Vote(vote_id, option):
                return self._route_vote(vote_id, option)
            case decisions.Propose(session_id, content):
                return negotiations, lambda: negotiations.propose(session_id, agent, content, strict=True)
            case decisions.AcceptProposal(session_id, proposal_id):
                return negotiations, lambda: negotiations.accept(session_id, agent, proposal_id, strict=True)
            case decisions.RejectProposal(session_id, proposal_id):
                return negotiations, lambda: negotiations.reject(session_id, agent, proposal_id, strict=True)
            case decisions.Delegate(delegatee, scope, kind, parent, expires_in_sec, max_depth):
                return self.delegations, lambda: self.delegations.delegate(
                    agent,
                    delegatee,
                    scope,
                    delegation_type=kind,
                    parent=parent,
                    expires_in_sec=expires_in_sec,
                    max_depth=max_depth,
                )
            case decisions.RevokeDelegation(delegation_id):
                return self.delegations, lambda: self.delegations.revoke(delegation_id, by=agent)
        return None, lambda: None

    def _route_vote(self, vote_id: str, option: Any) -> tuple[Any, Call]:
        """Return the ballot of a vote; a plain mapping, as in one process, collects lists of votes."""
        ballot = self.ballots
        if isinstance(ballot, Mapping):
            ballot = self.ballots.get(vote_id)
            if isinstance(self.ballots, MutableMapping) and (ballot is None or isinstance(ballot, list)):
                votes = self.ballots.setdefault(vote_id, [])
                return votes, lambda: votes.append((self.agent_id, option))
        if ballot is None or ballot.vote_id != vote_id:
            return None, lambda: None
        return ballot, lambda: ballot.vote(self.agent_id, option, strict=True)
