"""Fleets of agents share tasks, claims and pools through Redis or Valkey.

All public names come from here; the modules carry the names of the in-memory interface.
"""

from converge_redis.bidding.model import Auction, AuctionOutcome, AuctionState, AuctionType, Bid
from converge_redis.bidding.protocol import AsyncBiddingProtocol, BiddingProtocol
from converge_redis.cache.cached_function import AsyncCachedFunction, CachedFunction
from converge_redis.cache.shared_cache import AsyncSharedCache, SharedCache
from converge_redis.cache.statistics import CacheStatistics
from converge_redis.consensus.ballot import AsyncBallot, Ballot
from converge_redis.consensus.counting import Consensus
from converge_redis.consensus.model import BallotState
from converge_redis.consensus.tally import Tally, VotingMethod
from converge_redis.contract_net.model import CallForProposals, CallState, ContractProposal
from converge_redis.contract_net.protocol import AsyncContractNet, ContractNet
from converge_redis.core.audit import Violation
from converge_redis.delegation.model import Delegation, DelegationType
from converge_redis.delegation.protocol import AsyncDelegationProtocol, DelegationProtocol
from converge_redis.errors import (
    ActRefusedError,
    AdmissionDeniedError,
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
    StoreAuthenticationError,
    StoreClosedError,
    StoreFullError,
    StoreReplyError,
    StoreUnavailableError,
    TaskCancelledError,
    TaskExistsError,
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
from converge_redis.executor.executor import (
    ActionPolicy,
    AsyncStandardExecutor,
    DecisionOutcome,
    OutcomeStatus,
    StandardExecutor,
)
from converge_redis.negotiation.model import NegotiationSession, NegotiationState, Proposal
from converge_redis.negotiation.protocol import AsyncNegotiationProtocol, NegotiationProtocol
from converge_redis.notifications.near_cache import NearCache, NearStatistics
from converge_redis.observability.metrics import CoordinationMetrics
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
from converge_redis.store.open_namespace import EvictionWarning
from converge_redis.store.redis_store import RedisStore
from converge_redis.store.values import VersionedValue
from converge_redis.tasks.manager import AsyncTaskManager, TaskManager
from converge_redis.tasks.model import Task, TaskState, Topic
from converge_redis.worker.claim import Claim, current_claim
from converge_redis.worker.claim_keeper import ClaimKeeper
from converge_redis.worker.outcomes import TaskFailure, TryLater
from converge_redis.worker.worker import Worker

__all__ = [
    "AcceptProposal",
    "ActRefusedError",
    "ActionPolicy",
    "AdmissionDeniedError",
    "AdmissionPolicy",
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
    "Auction",
    "AuctionExistsError",
    "AuctionOutcome",
    "AuctionState",
    "AuctionType",
    "Ballot",
    "BallotExistsError",
    "BallotState",
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
    "RejectProposal",
    "ReportTask",
    "RevokeDelegation",
    "SharedCache",
    "StandardExecutor",
    "StoreAuthenticationError",
    "StoreClosedError",
    "StoreFullError",
    "StoreReplyError",
    "StoreUnavailableError",
    "SubmitBid",
    "SubmitTask",
    "Tally",
    "Task",
    "TaskCancelledError",
    "TaskExistsError",
    "TaskFailure",
    "TaskManager",
    "TaskState",
    "TokenAdmission",
    "Topic",
    "TryLater",
    "VersionedValue",
    "Violation",
    "Vote",
    "VotingMethod",
    "WhitelistAdmission",
    "Worker",
    "current_claim",
]
