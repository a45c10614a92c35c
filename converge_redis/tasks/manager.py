"""The task managers: the tasks of a fleet, from submission to the result."""

from converge_redis.store.base import AsyncManager, Manager
from converge_redis.store.methods import (
    async_method,
    async_near_cached_method,
    async_stream_method,
    background_method,
    method,
    near_cached_method,
    stream_method,
)
from converge_redis.tasks import audit as audit_ops
from converge_redis.tasks import claim as claim_ops
from converge_redis.tasks import lease as lease_ops
from converge_redis.tasks import query as query_ops
from converge_redis.tasks import settle as settle_ops
from converge_redis.tasks import submit as submit_ops
from converge_redis.tasks import wait as wait_ops


class TaskManager(Manager):
    """The tasks of a fleet, for blocking code; all processes with the same namespace see the same tasks."""

    submit = method(submit_ops.submit)
    submit_many = method(submit_ops.submit_many)
    requeue_task = method(submit_ops.requeue_task)

    claim = method(claim_ops.claim)
    claim_next = method(claim_ops.claim_next)
    start = method(lease_ops.start)
    extend_claim = method(lease_ops.extend_claim)
    release = method(lease_ops.release)
    release_expired_claims = method(claim_ops.release_expired_claims)

    report = method(settle_ops.report)
    fail_task = method(settle_ops.fail_task)
    cancel_task = method(settle_ops.cancel_task)

    get_task = near_cached_method(query_ops.get_task, query_ops.get_task_near)
    get_tasks = method(query_ops.get_tasks)
    list_claims = method(query_ops.list_claims)
    list_pending_tasks = method(query_ops.list_pending_tasks)
    list_pending_tasks_for_agent = method(query_ops.list_pending_tasks_for_agent)
    counts = method(query_ops.counts)
    explain_claim = method(query_ops.explain_claim)
    refresh_from_store = method(query_ops.refresh_from_store)
    audit = method(audit_ops.audit)

    wait_until_done = background_method(wait_ops.wait_until_done)
    wait = method(wait_ops.wait)
    submit_and_wait = method(wait_ops.submit_and_wait)
    wait_all = method(wait_ops.wait_all)
    wait_any = method(wait_ops.wait_any)
    as_completed = stream_method(wait_ops.as_completed)


class AsyncTaskManager(AsyncManager):
    """The tasks of a fleet, for code on asyncio; see `TaskManager`."""

    submit = async_method(submit_ops.submit)
    submit_many = async_method(submit_ops.submit_many)
    requeue_task = async_method(submit_ops.requeue_task)

    claim = async_method(claim_ops.claim)
    claim_next = async_method(claim_ops.claim_next)
    start = async_method(lease_ops.start)
    extend_claim = async_method(lease_ops.extend_claim)
    release = async_method(lease_ops.release)
    release_expired_claims = async_method(claim_ops.release_expired_claims)

    report = async_method(settle_ops.report)
    fail_task = async_method(settle_ops.fail_task)
    cancel_task = async_method(settle_ops.cancel_task)

    get_task = async_near_cached_method(query_ops.get_task, query_ops.get_task_near)
    get_tasks = async_method(query_ops.get_tasks)
    list_claims = async_method(query_ops.list_claims)
    list_pending_tasks = async_method(query_ops.list_pending_tasks)
    list_pending_tasks_for_agent = async_method(query_ops.list_pending_tasks_for_agent)
    counts = async_method(query_ops.counts)
    explain_claim = async_method(query_ops.explain_claim)
    refresh_from_store = async_method(query_ops.refresh_from_store)
    audit = async_method(audit_ops.audit)

    wait_until_done = async_method(wait_ops.wait_until_done)
    wait = async_method(wait_ops.wait)
    submit_and_wait = async_method(wait_ops.submit_and_wait)
    wait_all = async_method(wait_ops.wait_all)
    wait_any = async_method(wait_ops.wait_any)
    as_completed = async_stream_method(wait_ops.as_completed)
