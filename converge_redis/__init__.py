"""Fleets of agents share tasks, claims and pools through Redis or Valkey.

All public names come from here, and load on first use; the modules carry the names of the in-memory
interface.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converge_redis.bidding.model import AuctionOutcome, AuctionSnapshot, AuctionState, AuctionType, Bid
    from converge_redis.bidding.protocol import AsyncBiddingProtocol, BiddingProtocol
    from converge_redis.cache.cached_function import AsyncCachedFunction, CachedFunction
    from converge_redis.cache.shared_cache import AsyncSharedCache, SharedCache
    from converge_redis.cache.statistics import CacheStatistics
    from converge_redis.consensus.ballot import AsyncBallot, Ballot
    from converge_redis.consensus.counting import Consensus
    from converge_redis.consensus.model import BallotSnapshot
    from converge_redis.consensus.tally import Tally, VotingMethod
    from converge_redis.contract_net.model import CallForProposals, CallState, ContractProposal
    from converge_redis.contract_net.protocol import AsyncContractNet, ContractNet
    from converge_redis.core.audit import Violation
    from converge_redis.core.topic import Topic
    from converge_redis.delegation.model import Delegation, DelegationType
    from converge_redis.delegation.protocol import AsyncDelegationProtocol, DelegationProtocol
    from converge_redis.errors import (
        ActRefusedError,
        AdmissionDeniedError,
        AlreadyExistsError,
        AuctionExistsError,
        BallotExistsError,
        ClaimLostError,
        ComputeFailedError,
        ConfigurationError,
        ConvergeError,
        DelegationRefusedError,
        EmbeddedServerError,
        InvalidTypeError,
        InvalidValueError,
        NotAuthorizedError,
        PayloadTooLargeError,
        PoolExistsError,
        PoolNotFoundError,
        RefusedError,
        StoreAuthenticationError,
        StoreClosedError,
        StoreError,
        StoreFullError,
        StoreReplyError,
        StoreUnavailableError,
        TaskCancelledError,
        TaskExistsError,
        TaskFailedError,
    )
    from converge_redis.executor.decisions import (
        AcceptProposal,
        ClaimTask,
        CreatePool,
        Decision,
        Delegate,
        JoinPool,
        LeavePool,
        Propose,
        RejectProposal,
        ReportTask,
        RevokeDelegation,
        SubmitBid,
        SubmitTask,
        Vote,
    )
    from converge_redis.executor.dispatch import ActionPolicy
    from converge_redis.executor.executor import AsyncStandardExecutor, StandardExecutor
    from converge_redis.executor.outcomes import DecisionOutcome, OutcomeStatus
    from converge_redis.negotiation.model import NegotiationSession, NegotiationState, Proposal
    from converge_redis.negotiation.protocol import AsyncNegotiationProtocol, NegotiationProtocol
    from converge_redis.notifications.near_cache import NearCache, NearStatistics
    from converge_redis.observability.metrics import CoordinationMetrics
    from converge_redis.pools.admission import TrustProvider
    from converge_redis.pools.manager import AsyncPoolManager, PoolManager
    from converge_redis.pools.model import (
        AdmissionPolicy,
        CustomAdmission,
        OpenAdmission,
        Pool,
        PoolSpec,
        TokenAdmission,
        WhitelistAdmission,
    )
    from converge_redis.server.embedded import EmbeddedServer
    from converge_redis.store.async_redis_store import AsyncRedisStore
    from converge_redis.store.default import default_async_store, default_store
    from converge_redis.store.open_namespace import EvictionWarning
    from converge_redis.store.redis_store import RedisStore
    from converge_redis.store.server_info import ServerInfo
    from converge_redis.store.values import VersionedValue
    from converge_redis.tasks.manager import AsyncTaskManager, TaskManager
    from converge_redis.tasks.model import Task, TaskState
    from converge_redis.worker.claim import Claim, current_claim
    from converge_redis.worker.claim_keeper import ClaimKeeper
    from converge_redis.worker.handlers import Handler
    from converge_redis.worker.outcomes import TaskFailure, TryLater
    from converge_redis.worker.worker import Worker

__version__ = "0.1.0"

_MODULES = {
    "bidding.model": "AuctionOutcome AuctionSnapshot AuctionState AuctionType Bid",
    "bidding.protocol": "AsyncBiddingProtocol BiddingProtocol",
    "cache.cached_function": "AsyncCachedFunction CachedFunction",
    "cache.shared_cache": "AsyncSharedCache SharedCache",
    "cache.statistics": "CacheStatistics",
    "consensus.ballot": "AsyncBallot Ballot",
    "consensus.counting": "Consensus",
    "consensus.model": "BallotSnapshot",
    "consensus.tally": "Tally VotingMethod",
    "contract_net.model": "CallForProposals CallState ContractProposal",
    "contract_net.protocol": "AsyncContractNet ContractNet",
    "core.audit": "Violation",
    "core.topic": "Topic",
    "delegation.model": "Delegation DelegationType",
    "delegation.protocol": "AsyncDelegationProtocol DelegationProtocol",
    "errors": (
        "ActRefusedError AdmissionDeniedError AlreadyExistsError AuctionExistsError BallotExistsError "
        "ClaimLostError ComputeFailedError ConfigurationError ConvergeError DelegationRefusedError "
        "EmbeddedServerError InvalidTypeError InvalidValueError NotAuthorizedError PayloadTooLargeError "
        "PoolExistsError PoolNotFoundError RefusedError StoreAuthenticationError StoreClosedError "
        "StoreError StoreFullError StoreReplyError StoreUnavailableError TaskCancelledError "
        "TaskExistsError TaskFailedError"
    ),
    "executor.decisions": (
        "AcceptProposal ClaimTask CreatePool Decision Delegate JoinPool LeavePool Propose RejectProposal "
        "ReportTask RevokeDelegation SubmitBid SubmitTask Vote"
    ),
    "executor.dispatch": "ActionPolicy",
    "executor.executor": "AsyncStandardExecutor StandardExecutor",
    "executor.outcomes": "DecisionOutcome OutcomeStatus",
    "negotiation.model": "NegotiationSession NegotiationState Proposal",
    "negotiation.protocol": "AsyncNegotiationProtocol NegotiationProtocol",
    "notifications.near_cache": "NearCache NearStatistics",
    "observability.metrics": "CoordinationMetrics",
    "pools.admission": "TrustProvider",
    "pools.manager": "AsyncPoolManager PoolManager",
    "pools.model": (
        "AdmissionPolicy CustomAdmission OpenAdmission Pool PoolSpec TokenAdmission WhitelistAdmission"
    ),
    "server.embedded": "EmbeddedServer",
    "store.async_redis_store": "AsyncRedisStore",
    "store.default": "default_async_store default_store",
    "store.open_namespace": "EvictionWarning",
    "store.redis_store": "RedisStore",
    "store.server_info": "ServerInfo",
    "store.values": "VersionedValue",
    "tasks.manager": "AsyncTaskManager TaskManager",
    "tasks.model": "Task TaskState",
    "worker.claim": "Claim current_claim",
    "worker.claim_keeper": "ClaimKeeper",
    "worker.handlers": "Handler",
    "worker.outcomes": "TaskFailure TryLater",
    "worker.worker": "Worker",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "AcceptProposal",
    "ActRefusedError",
    "ActionPolicy",
    "AdmissionDeniedError",
    "AdmissionPolicy",
    "AlreadyExistsError",
    "AsyncBallot",
    "AsyncBiddingProtocol",
    "AsyncCachedFunction",
    "AsyncContractNet",
    "AsyncDelegationProtocol",
    "AsyncNegotiationProtocol",
    "AsyncPoolManager",
    "AsyncRedisStore",
    "AsyncSharedCache",
    "AsyncStandardExecutor",
    "AsyncTaskManager",
    "AuctionExistsError",
    "AuctionOutcome",
    "AuctionSnapshot",
    "AuctionState",
    "AuctionType",
    "Ballot",
    "BallotExistsError",
    "BallotSnapshot",
    "Bid",
    "BiddingProtocol",
    "CacheStatistics",
    "CachedFunction",
    "CallForProposals",
    "CallState",
    "Claim",
    "ClaimKeeper",
    "ClaimLostError",
    "ClaimTask",
    "ComputeFailedError",
    "ConfigurationError",
    "Consensus",
    "ContractNet",
    "ContractProposal",
    "ConvergeError",
    "CoordinationMetrics",
    "CreatePool",
    "CustomAdmission",
    "Decision",
    "DecisionOutcome",
    "Delegate",
    "Delegation",
    "DelegationProtocol",
    "DelegationRefusedError",
    "DelegationType",
    "EmbeddedServer",
    "EmbeddedServerError",
    "EvictionWarning",
    "Handler",
    "InvalidTypeError",
    "InvalidValueError",
    "JoinPool",
    "LeavePool",
    "NearCache",
    "NearStatistics",
    "NegotiationProtocol",
    "NegotiationSession",
    "NegotiationState",
    "NotAuthorizedError",
    "OpenAdmission",
    "OutcomeStatus",
    "PayloadTooLargeError",
    "Pool",
    "PoolExistsError",
    "PoolManager",
    "PoolNotFoundError",
    "PoolSpec",
    "Proposal",
    "Propose",
    "RedisStore",
    "RefusedError",
    "RejectProposal",
    "ReportTask",
    "RevokeDelegation",
    "ServerInfo",
    "SharedCache",
    "StandardExecutor",
    "StoreAuthenticationError",
    "StoreClosedError",
    "StoreError",
    "StoreFullError",
    "StoreReplyError",
    "StoreUnavailableError",
    "SubmitBid",
    "SubmitTask",
    "Tally",
    "Task",
    "TaskCancelledError",
    "TaskExistsError",
    "TaskFailedError",
    "TaskFailure",
    "TaskManager",
    "TaskState",
    "TokenAdmission",
    "Topic",
    "TrustProvider",
    "TryLater",
    "VersionedValue",
    "Violation",
    "Vote",
    "VotingMethod",
    "WhitelistAdmission",
    "Worker",
    "current_claim",
    "default_async_store",
    "default_store",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use: a task queue does not pay for the protocols."""
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - it would be a public name of this module

    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
