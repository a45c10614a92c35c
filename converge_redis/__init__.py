"""Fleets of agents share tasks, claims and pools through Redis or Valkey.

All public names come from here; the modules carry the names of the in-memory interface.
"""

from converge_redis.async_store import AsyncRedisStore
from converge_redis.audit import Violation
from converge_redis.embedded import EmbeddedServer
from converge_redis.errors import (
    AdmissionDeniedError,
    ClaimLostError,
    ConfigurationError,
    ConvergeError,
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
from converge_redis.metrics import CoordinationMetrics
from converge_redis.operations.opening import EvictionWarning
from converge_redis.store import RedisStore
from converge_redis.task import Task, TaskState, Topic
from converge_redis.task_manager import AsyncTaskManager, TaskManager

__all__ = [
    "AdmissionDeniedError",
    "AsyncRedisStore",
    "AsyncTaskManager",
    "ClaimLostError",
    "ConfigurationError",
    "ConvergeError",
    "CoordinationMetrics",
    "EmbeddedServer",
    "EmbeddedServerError",
    "EvictionWarning",
    "InvalidTypeError",
    "InvalidValueError",
    "NotAuthorizedError",
    "PayloadTooLargeError",
    "PoolExistsError",
    "PoolNotFoundError",
    "RedisStore",
    "StoreAuthenticationError",
    "StoreClosedError",
    "StoreFullError",
    "StoreReplyError",
    "StoreUnavailableError",
    "Task",
    "TaskCancelledError",
    "TaskExistsError",
    "TaskManager",
    "TaskState",
    "Topic",
    "Violation",
]
