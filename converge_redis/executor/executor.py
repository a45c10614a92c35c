"""The executors: execute the decisions of one agent, and return the outcome of each."""

from collections.abc import Iterable, Mapping, MutableMapping
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from converge_redis.bidding.protocol import AsyncBiddingProtocol, BiddingProtocol
from converge_redis.consensus.ballot import AsyncBallot, Ballot
from converge_redis.core.validation import validate_id
from converge_redis.delegation.protocol import AsyncDelegationProtocol, DelegationProtocol
from converge_redis.executor.decisions import Decision
from converge_redis.executor.dispatch import ActionPolicy, Dispatcher, Handler
from converge_redis.executor.outcomes import DecisionOutcome, failure, success
from converge_redis.negotiation.protocol import AsyncNegotiationProtocol, NegotiationProtocol
from converge_redis.pools.manager import AsyncPoolManager, PoolManager
from converge_redis.tasks.manager import AsyncTaskManager, TaskManager

TM = TypeVar("TM")
PM = TypeVar("PM")
BP = TypeVar("BP")
NP = TypeVar("NP")
DP = TypeVar("DP")
B = TypeVar("B")


class _Executor(Generic[TM, PM, BP, NP, DP, B]):
    """What `StandardExecutor` and `AsyncStandardExecutor` have in common."""

    def __init__(
        self,
        agent_id: str,
        task_manager: TM | None = None,
        pool_manager: PM | None = None,
        *,
        bidding_protocols: Mapping[str, BP] | None = None,
        negotiation_protocol: NP | None = None,
        delegation_protocol: DP | None = None,
        votes_store: B | Mapping[str, B] | MutableMapping[str, list[Any]] | None = None,
        action_policy: ActionPolicy | None = None,
        handlers: Mapping[type[Decision], Handler] | None = None,
    ) -> None:
        """Make an executor for one agent.

        Args:
            agent_id: The agent.
            task_manager: For `SubmitTask`, `ClaimTask`, `ReportTask`; None: they are not supported. The same
                holds for the following arguments.
            pool_manager: For `CreatePool`, `JoinPool`, `LeavePool`.
            bidding_protocols: By auction id, for `SubmitBid`.
            negotiation_protocol: For `Propose`, `AcceptProposal`, `RejectProposal`.
            delegation_protocol: For `Delegate`, `RevokeDelegation`.
            votes_store: For `Vote`: a ballot, or a mapping of vote ids to ballots; a plain dict collects
                lists of ``(agent_id, option)`` by vote id, for `Consensus` in one process.
            action_policy: Which decisions are executed; None: all.
            handlers: By class of decision, a function of the decision that is called instead of the method,
                and whose result is the outcome's. An asynchronous executor awaits coroutine functions.

        Raises:
            InvalidTypeError, InvalidValueError: The agent id is malformed.
        """
        self._agent_id = validate_id("agent_id", agent_id)
        self._dispatcher = Dispatcher(
            self._agent_id,
            task_manager,
            pool_manager,
            bidding_protocols or {},
            negotiation_protocol,
            delegation_protocol,
            votes_store,
            action_policy or ActionPolicy(),
            handlers or {},
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(agent_id={self._agent_id!r})"


class StandardExecutor(
    _Executor[TaskManager, PoolManager, BiddingProtocol, NegotiationProtocol, DelegationProtocol, Ballot]
):
    """Executes the decisions of one agent, for blocking code; one that fails does not stop the next."""

    def execute(self, decisions: Iterable[Decision]) -> list[DecisionOutcome]:
        """Execute decisions, one after the other.

        Args:
            decisions: The decisions.

        Returns:
            The outcome of each, in their order. Errors are outcomes, and are not raised.
        """
        outcomes = []
        for number, decision in enumerate(decisions):
            call = self._dispatcher.prepare(decision, number)
            if isinstance(call, DecisionOutcome):
                outcomes.append(call)
                continue
            try:
                outcomes.append(success(decision, call()))
            except Exception as error:
                outcomes.append(failure(decision, error))
        return outcomes


class AsyncStandardExecutor(
    _Executor[
        AsyncTaskManager,
        AsyncPoolManager,
        AsyncBiddingProtocol,
        AsyncNegotiationProtocol,
        AsyncDelegationProtocol,
        AsyncBallot,
    ]
):
    """Executes the decisions of one agent, for code on asyncio; see `StandardExecutor`."""

    async def execute(self, decisions: Iterable[Decision]) -> list[DecisionOutcome]:
        """Execute decisions, one after the other.

        Args:
            decisions: The decisions.

        Returns:
            The outcome of each, in their order. Errors are outcomes, and are not raised.
        """
        outcomes = []
        for number, decision in enumerate(decisions):
            call = self._dispatcher.prepare(decision, number)
            if isinstance(call, DecisionOutcome):
                outcomes.append(call)
                continue
            try:
                result = call()
                outcomes.append(success(decision, await result if isawaitable(result) else result))
            except Exception as error:
                outcomes.append(failure(decision, error))
        return outcomes
