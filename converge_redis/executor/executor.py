"""Executors: carry out what an agent has decided, and tell what came of each decision."""

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from inspect import isawaitable
from typing import Any

from converge_redis.bidding.protocol import AsyncBiddingProtocol, BiddingProtocol
from converge_redis.consensus.ballot import AsyncBallot, Ballot
from converge_redis.core.validation import check_id, check_integer, shown
from converge_redis.delegation.protocol import AsyncDelegationProtocol, DelegationProtocol
from converge_redis.errors import ActRefusedError, AdmissionDeniedError, InvalidTypeError, NotAuthorizedError
from converge_redis.executor import decisions as decided
from converge_redis.executor.decisions import Decision
from converge_redis.negotiation.protocol import AsyncNegotiationProtocol, NegotiationProtocol
from converge_redis.pools.manager import AsyncPoolManager, PoolManager
from converge_redis.tasks.manager import AsyncTaskManager, TaskManager


class OutcomeStatus(StrEnum):
    """What came of a decision."""

    DONE = "done"
    REFUSED = "refused"
    NOT_ALLOWED = "not_allowed"
    NOT_SUPPORTED = "not_supported"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DecisionOutcome:
    """What came of one decision.

    Attributes:
        decision: The decision.
        status: Done; refused: the rules of the task, pool or session do not allow it now; not allowed by the
            executor's policy; not supported: the executor has no part for it, nor a handler; failed: an
            error.
        result: What the verb has returned.
        reason: Why it was not done.
        error: The error behind that, if there is one.
    """

    decision: Decision
    status: OutcomeStatus
    result: Any = None
    reason: str | None = None
    error: Exception | None = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status is OutcomeStatus.DONE


@dataclass(frozen=True, slots=True)
class ActionPolicy:
    """Which decisions an executor carries out.

    Args:
        allowed_actions: Their classes, or the names of those, such as ``"ClaimTask"``; None: all.
        max_decisions: The most of one call of `execute` that are carried out; None: no limit.
    """

    allowed_actions: Collection[str | type[Decision]] | None = None
    max_decisions: int | None = None

    def __post_init__(self) -> None:
        if self.allowed_actions is not None:
            if isinstance(self.allowed_actions, str) or not isinstance(self.allowed_actions, Collection):
                raise InvalidTypeError(f"allowed_actions must be a list, not {shown(self.allowed_actions)}")
            names = frozenset(_name_of(one) for one in self.allowed_actions)
            object.__setattr__(self, "allowed_actions", names)
        if self.max_decisions is not None:
            check_integer("max_decisions", self.max_decisions, 0, 2**31)

    def objection(self, decision: Decision, number: int) -> str | None:
        """Return why a decision, the `number`-th from 0 of its call, is not allowed; None: it is."""
        name = type(decision).__name__
        if self.allowed_actions is not None and name not in self.allowed_actions:
            return f"{name} is not among the allowed actions"
        if self.max_decisions is not None and number >= self.max_decisions:
            return f"only {self.max_decisions} decisions of one call are carried out"
        return None


def _name_of(action: object) -> str:
    if isinstance(action, type) and issubclass(action, Decision):
        return action.__name__
    if not isinstance(action, str):
        raise InvalidTypeError(f"allowed_actions must hold classes of decisions, not {shown(action)}")
    return action


Handler = Callable[[Any], Any]
Call = Callable[[], Any]


@dataclass(slots=True)
class Parts:
    """What an executor works with; what is None is not supported."""

    agent_id: str
    tasks: Any
    pools: Any
    auctions: Mapping[str, Any]
    negotiations: Any
    delegations: Any
    ballots: Any
    policy: ActionPolicy
    handlers: Mapping[type[Decision], Handler]

    def call_for(self, decision: Decision) -> Call | None:
        """Return what carries a decision out; None: nothing does."""
        handler = next(
            (self.handlers[kind] for kind in type(decision).__mro__ if kind in self.handlers), None
        )
        if handler is not None:
            return lambda: handler(decision)
        part, act = self._part_and_act(decision)
        return act if part is not None else None

    def _part_and_act(self, decision: Decision) -> tuple[Any, Call]:  # noqa: PLR0911, PLR0912 - one for each kind
        me, tasks, pools, talks = self.agent_id, self.tasks, self.pools, self.negotiations
        match decision:
            case decided.SubmitTask(task):
                return tasks, lambda: tasks.submit(task)
            case decided.ClaimTask(task_id):
                return tasks, lambda: tasks.claim(me, task_id)
            case decided.ReportTask(task_id, result):
                return tasks, lambda: tasks.report(me, task_id, result)
            case decided.CreatePool(spec):
                return pools, lambda: pools.create_pool(spec)
            case decided.JoinPool(pool_id, token):
                return pools, lambda: pools.join_pool(me, pool_id, token=token)
            case decided.LeavePool(pool_id):
                return pools, lambda: pools.leave_pool(me, pool_id)
            case decided.SubmitBid(auction_id, amount, content):
                auction: Any = self.auctions.get(auction_id)
                return auction, lambda: auction.submit_bid(me, amount, content, strict=True)
            case decided.Vote(vote_id, option):
                return self._ballot(vote_id, option)
            case decided.Propose(session_id, content):
                return talks, lambda: talks.propose(session_id, me, content, strict=True)
            case decided.AcceptProposal(session_id, proposal_id):
                return talks, lambda: talks.accept(session_id, me, proposal_id, strict=True)
            case decided.RejectProposal(session_id, proposal_id):
                return talks, lambda: talks.reject(session_id, me, proposal_id, strict=True)
            case decided.Delegate(delegatee, scope, kind, parent, expires_in, max_depth):
                return self.delegations, lambda: self.delegations.delegate(
                    me,
                    delegatee,
                    scope,
                    delegation_type=kind,
                    parent=parent,
                    expires_in=expires_in,
                    max_depth=max_depth,
                )
            case decided.RevokeDelegation(delegation_id):
                return self.delegations, lambda: self.delegations.revoke(delegation_id, me)
        return None, lambda: None

    def _ballot(self, vote_id: str, option: Any) -> tuple[Any, Call]:
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

    def begin(self, decision: Any, number: int) -> Call | DecisionOutcome:
        """Return what carries a decision out, or why nothing does."""
        if not isinstance(decision, Decision):
            error = InvalidTypeError(f"decisions must hold decisions, not {shown(decision)}")
            return failure(decision, error)
        objection = self.policy.objection(decision, number)
        if objection is not None:
            return DecisionOutcome(decision, OutcomeStatus.NOT_ALLOWED, reason=objection)
        call = self.call_for(decision)
        if call is None:
            reason = f"the executor has nothing that carries out {shown(decision)}"
            return DecisionOutcome(decision, OutcomeStatus.NOT_SUPPORTED, reason=reason)
        return call


def success(decision: Decision, result: Any) -> DecisionOutcome:
    """Return the outcome of a decision whose verb has returned: False stands for a refusal."""
    if result is False:
        reason = f"{type(decision).__name__} was refused: its state does not allow it now"
        return DecisionOutcome(decision, OutcomeStatus.REFUSED, result=False, reason=reason)
    return DecisionOutcome(decision, OutcomeStatus.DONE, result=result)


def failure(decision: Decision, error: Exception) -> DecisionOutcome:
    """Return the outcome of a decision whose verb has raised an error."""
    refused = isinstance(error, ActRefusedError | AdmissionDeniedError | NotAuthorizedError)
    status = OutcomeStatus.REFUSED if refused else OutcomeStatus.FAILED
    return DecisionOutcome(decision, status, reason=str(error), error=error)


class StandardExecutor:
    """Carries out what one agent has decided, for blocking code; one that fails does not stop the next.

    Args:
        agent_id: The agent.
        task_manager: For `SubmitTask`, `ClaimTask`, `ReportTask`; None: they are not supported, as below.
        pool_manager: For `CreatePool`, `JoinPool`, `LeavePool`.
        bidding_protocols: By auction id, for `SubmitBid`.
        negotiation_protocol: For `Propose`, `AcceptProposal`, `RejectProposal`.
        delegation_protocol: For `Delegate`, `RevokeDelegation`.
        votes_store: For `Vote`: a ballot, or a mapping of vote ids to ballots; a plain dict collects lists of
            ``(agent_id, option)`` by vote id, for `Consensus` in one process.
        action_policy: Which decisions are carried out; None: all.
        handlers: By class of decision, a function of the decision that is called in place of the verb;
            its result is the outcome's.

    Raises:
        InvalidTypeError, InvalidValueError: The agent id is malformed.
    """

    def __init__(
        self,
        agent_id: str,
        task_manager: TaskManager | None = None,
        pool_manager: PoolManager | None = None,
        *,
        bidding_protocols: Mapping[str, BiddingProtocol] | None = None,
        negotiation_protocol: NegotiationProtocol | None = None,
        delegation_protocol: DelegationProtocol | None = None,
        votes_store: Ballot | Mapping[str, Ballot] | MutableMapping[str, list[Any]] | None = None,
        action_policy: ActionPolicy | None = None,
        handlers: Mapping[type[Decision], Handler] | None = None,
    ) -> None:
        self._parts = Parts(
            check_id("agent_id", agent_id),
            task_manager,
            pool_manager,
            bidding_protocols or {},
            negotiation_protocol,
            delegation_protocol,
            votes_store,
            action_policy or ActionPolicy(),
            handlers or {},
        )

    def execute(self, decisions: Iterable[Decision]) -> list[DecisionOutcome]:
        """Carry decisions out, one after the other.

        Args:
            decisions: The decisions.

        Returns:
            What came of each, in their order; errors are among the outcomes, and never raised.
        """
        outcomes = []
        for number, decision in enumerate(decisions):
            call = self._parts.begin(decision, number)
            if isinstance(call, DecisionOutcome):
                outcomes.append(call)
                continue
            try:
                result = call()
                outcomes.append(success(decision, result))
            except Exception as error:
                outcomes.append(failure(decision, error))
        return outcomes


class AsyncStandardExecutor:
    """Carries out what one agent has decided, for code on asyncio; one that fails does not stop the next.

    Args:
        agent_id: The agent.
        task_manager: For `SubmitTask`, `ClaimTask`, `ReportTask`; None: they are not supported, as below.
        pool_manager: For `CreatePool`, `JoinPool`, `LeavePool`.
        bidding_protocols: By auction id, for `SubmitBid`.
        negotiation_protocol: For `Propose`, `AcceptProposal`, `RejectProposal`.
        delegation_protocol: For `Delegate`, `RevokeDelegation`.
        votes_store: For `Vote`: a ballot, or a mapping of vote ids to ballots; a plain dict collects lists of
            ``(agent_id, option)`` by vote id, for `Consensus` in one process.
        action_policy: Which decisions are carried out; None: all.
        handlers: By class of decision, a function of the decision, or a coroutine function, that is called
            in place of the verb; its result is the outcome's.

    Raises:
        InvalidTypeError, InvalidValueError: The agent id is malformed.
    """

    def __init__(
        self,
        agent_id: str,
        task_manager: AsyncTaskManager | None = None,
        pool_manager: AsyncPoolManager | None = None,
        *,
        bidding_protocols: Mapping[str, AsyncBiddingProtocol] | None = None,
        negotiation_protocol: AsyncNegotiationProtocol | None = None,
        delegation_protocol: AsyncDelegationProtocol | None = None,
        votes_store: AsyncBallot | Mapping[str, AsyncBallot] | MutableMapping[str, list[Any]] | None = None,
        action_policy: ActionPolicy | None = None,
        handlers: Mapping[type[Decision], Handler] | None = None,
    ) -> None:
        self._parts = Parts(
            check_id("agent_id", agent_id),
            task_manager,
            pool_manager,
            bidding_protocols or {},
            negotiation_protocol,
            delegation_protocol,
            votes_store,
            action_policy or ActionPolicy(),
            handlers or {},
        )

    async def execute(self, decisions: Iterable[Decision]) -> list[DecisionOutcome]:
        """Carry decisions out, one after the other.

        Args:
            decisions: The decisions.

        Returns:
            What came of each, in their order; errors are among the outcomes, and never raised.
        """
        outcomes = []
        for number, decision in enumerate(decisions):
            call = self._parts.begin(decision, number)
            if isinstance(call, DecisionOutcome):
                outcomes.append(call)
                continue
            try:
                result = call()
                if isawaitable(result):
                    result = await result
                outcomes.append(success(decision, result))
            except Exception as error:
                outcomes.append(failure(decision, error))
        return outcomes
