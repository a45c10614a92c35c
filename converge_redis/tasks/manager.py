"""Task management, from submission to the end: the source of truth about every task of a fleet."""

from converge_redis.store.base import OnAsyncStore, OnStore
from converge_redis.store.methods import (
    averb,
    background_verb,
    iterating_averb,
    iterating_verb,
    near_averb,
    near_verb,
    verb,
)
from converge_redis.tasks import audit as auditing
from converge_redis.tasks import claim as claiming
from converge_redis.tasks import lease as holding
from converge_redis.tasks import query as reading
from converge_redis.tasks import settle as settling
from converge_redis.tasks import submit as submitting
from converge_redis.tasks import wait as waiting


class TaskManager(OnStore):
    """The tasks of a fleet, for blocking code; all processes with the same store see the same tasks.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    submit = verb(submitting.submit)
    submit_many = verb(submitting.submit_many)
    requeue_task = verb(submitting.requeue_task)

    claim = verb(claiming.claim)
    claim_next = verb(claiming.claim_next)
    start = verb(holding.start)
    extend_claim = verb(holding.extend_claim)
    release = verb(holding.release)
    release_expired_claims = verb(claiming.release_expired_claims)

    report = verb(settling.report)
    fail_task = verb(settling.fail_task)
    cancel_task = verb(settling.cancel_task)

    get_task = near_verb(reading.get_task)
    get_tasks = verb(reading.get_tasks)
    my_claims = verb(reading.my_claims)
    list_pending_tasks = verb(reading.list_pending_tasks)
    list_pending_tasks_for_agent = verb(reading.list_pending_tasks_for_agent)
    counts = verb(reading.counts)
    explain_claim = verb(reading.explain_claim)
    refresh_from_store = verb(reading.refresh_from_store)
    audit = verb(auditing.audit)

    wait_until_done = background_verb(waiting.wait_until_done)
    wait = verb(waiting.wait)
    submit_and_wait = verb(waiting.submit_and_wait)
    wait_all = verb(waiting.wait_all)
    wait_any = verb(waiting.wait_any)
    as_completed = iterating_verb(waiting.as_completed)


class AsyncTaskManager(OnAsyncStore):
    """The tasks of a fleet, for code on asyncio; see `TaskManager`.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    submit = averb(submitting.submit)
    submit_many = averb(submitting.submit_many)
    requeue_task = averb(submitting.requeue_task)

    claim = averb(claiming.claim)
    claim_next = averb(claiming.claim_next)
    start = averb(holding.start)
    extend_claim = averb(holding.extend_claim)
    release = averb(holding.release)
    release_expired_claims = averb(claiming.release_expired_claims)

    report = averb(settling.report)
    fail_task = averb(settling.fail_task)
    cancel_task = averb(settling.cancel_task)

    get_task = near_averb(reading.get_task)
    get_tasks = averb(reading.get_tasks)
    my_claims = averb(reading.my_claims)
    list_pending_tasks = averb(reading.list_pending_tasks)
    list_pending_tasks_for_agent = averb(reading.list_pending_tasks_for_agent)
    counts = averb(reading.counts)
    explain_claim = averb(reading.explain_claim)
    refresh_from_store = averb(reading.refresh_from_store)
    audit = averb(auditing.audit)

    wait_until_done = averb(waiting.wait_until_done)
    wait = averb(waiting.wait)
    submit_and_wait = averb(waiting.submit_and_wait)
    wait_all = averb(waiting.wait_all)
    wait_any = averb(waiting.wait_any)
    as_completed = iterating_averb(waiting.as_completed)
