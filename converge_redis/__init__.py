"""Fleets of agents share tasks, claims and pools through Redis or Valkey.

All public names come from here; the modules carry the names of the in-memory interface.
"""

from converge_redis.async_store import AsyncRedisStore
from converge_redis.auction import Auction, AuctionOutcome, AuctionState, AuctionType, Bid
from converge_redis.audit import Violation
from converge_redis.ballot import AsyncBallot, Ballot
from converge_redis.ballot_record import BallotState
from converge_redis.bidding import AsyncBiddingProtocol, BiddingProtocol
from converge_redis.cache_statistics import CacheStatistics
from converge_redis.cached_function import AsyncCachedFunction, CachedFunction
from converge_redis.claim_keeper import ClaimKeeper
from converge_redis.consensus import Consensus
from converge_redis.contract_net import AsyncContractNet, ContractNet
from converge_redis.contract_record import CallForProposals, CallState, ContractProposal
from converge_redis.decisions import (
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
from converge_redis.delegation import AsyncDelegationProtocol, DelegationProtocol
from converge_redis.delegation_record import Delegation, DelegationType
from converge_redis.embedded import EmbeddedServer
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
from converge_redis.executor import (
    ActionPolicy,
    AsyncStandardExecutor,
    DecisionOutcome,
    OutcomeStatus,
    StandardExecutor,
)
from converge_redis.metrics import CoordinationMetrics
from converge_redis.near_cache import NearCache, NearStatistics
from converge_redis.negotiation import AsyncNegotiationProtocol, NegotiationProtocol
from converge_redis.negotiation_record import NegotiationSession, NegotiationState, Proposal
from converge_redis.operations.opening import EvictionWarning
from converge_redis.operations.values import VersionedValue
from converge_redis.pool import (
    AdmissionPolicy,
    CustomAdmission,
    OpenAdmission,
    Pool,
    PoolSpec,
    TokenAdmission,
    WhitelistAdmission,
)
from converge_redis.pool_manager import AsyncPoolManager, PoolManager
from converge_redis.shared_cache import AsyncSharedCache, SharedCache
from converge_redis.store import RedisStore
from converge_redis.tally import Tally, VotingMethod
from converge_redis.task import Task, TaskState, Topic
from converge_redis.task_manager import AsyncTaskManager, TaskManager
from converge_redis.worker import Worker
from converge_redis.working.claim import Claim, current_claim
from converge_redis.working.outcomes import TaskFailure, TryLater

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
