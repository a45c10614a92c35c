"""The in-memory interface that this package grows from: names, parameters, order and defaults."""

import inspect
from typing import Any

import pytest

import converge_redis
from converge_redis import (
    AsyncBallot,
    AsyncBiddingProtocol,
    AsyncContractNet,
    AsyncDelegationProtocol,
    AsyncNegotiationProtocol,
    AsyncPoolManager,
    AsyncTaskManager,
    Ballot,
    BiddingProtocol,
    ContractNet,
    DelegationProtocol,
    NegotiationProtocol,
    PoolManager,
    Task,
    TaskManager,
    TaskState,
)
from converge_redis.pools import manager as pool_module
from converge_redis.tasks import manager as task_module

REQUIRED = inspect.Parameter.empty
KEYWORD = "keyword-only"

# Each method with its parameters: name, default, and KEYWORD for keyword-only ones.
TASKS: dict[str, list[tuple[Any, ...]]] = {
    "submit": [("task", REQUIRED)],
    "refresh_from_store": [],
    "claim": [("agent_id", REQUIRED), ("task_id", REQUIRED)],
    "cancel_task": [("task_id", REQUIRED)],
    "fail_task": [("task_id", REQUIRED), ("reason", REQUIRED), ("agent_id", None, KEYWORD)],
    "release_expired_claims": [("now_ts", None)],
    "report": [("agent_id", REQUIRED), ("task_id", REQUIRED), ("result", REQUIRED)],
    "wait_until_done": [("task_id", REQUIRED), ("timeout", REQUIRED)],
    "list_pending_tasks": [("refresh_from_store", False, KEYWORD)],
    "list_pending_tasks_for_agent": [
        ("agent_id", REQUIRED),
        ("pool_ids", None),
        ("capabilities", None),
        ("topics", None),
        ("sort_by_priority", False, KEYWORD),
        ("refresh_from_store", False, KEYWORD),
    ],
}
POOLS: dict[str, list[tuple[Any, ...]]] = {
    "create_pool": [("spec", REQUIRED)],
    "join_pool": [("agent_id", REQUIRED), ("pool_id", REQUIRED)],
    "leave_pool": [("agent_id", REQUIRED), ("pool_id", REQUIRED)],
    "get_pool": [("pool_id", REQUIRED)],
    "get_pools_for_agent": [("agent_id", REQUIRED)],
    "delete_pool": [("pool_id", REQUIRED)],
}
DELEGATION: dict[str, list[tuple[Any, ...]]] = {
    "delegate": [("delegator_id", REQUIRED), ("delegatee_id", REQUIRED), ("scope", None)],
    "revoke": [("delegation_id", REQUIRED)],
}
NEGOTIATION: dict[str, list[tuple[Any, ...]]] = {
    "create_session": [
        ("initiator_id", REQUIRED),
        ("participants", REQUIRED),
        ("initial_proposal", REQUIRED),
    ],
    "propose": [("session_id", REQUIRED), ("agent_id", REQUIRED), ("content", REQUIRED)],
    "accept": [("session_id", REQUIRED), ("agent_id", REQUIRED)],
    "reject": [("session_id", REQUIRED), ("agent_id", REQUIRED)],
    "get_session": [("session_id", REQUIRED)],
}
BIDDING: dict[str, list[tuple[Any, ...]]] = {
    "submit_bid": [("agent_id", REQUIRED), ("amount", REQUIRED), ("content", None)],
    "resolve": [],
}
MANAGERS = [
    TaskManager,
    AsyncTaskManager,
    PoolManager,
    AsyncPoolManager,
    DelegationProtocol,
    AsyncDelegationProtocol,
    NegotiationProtocol,
    AsyncNegotiationProtocol,
    ContractNet,
    AsyncContractNet,
]
PROTOCOLS = [*MANAGERS, BiddingProtocol, AsyncBiddingProtocol, Ballot, AsyncBallot]
CASES = [
    (manager, method, parameters)
    for methods, managers in (
        (TASKS, (TaskManager, AsyncTaskManager)),
        (POOLS, (PoolManager, AsyncPoolManager)),
        (DELEGATION, (DelegationProtocol, AsyncDelegationProtocol)),
        (NEGOTIATION, (NegotiationProtocol, AsyncNegotiationProtocol)),
        (BIDDING, (BiddingProtocol, AsyncBiddingProtocol)),
    )
    for manager in managers
    for method, parameters in methods.items()
]


@pytest.mark.parametrize(("manager", "method", "expected"), CASES)
def test_methods_have_the_parameters_of_the_in_memory_interface(
    manager: type, method: str, expected: list[tuple[Any, ...]]
) -> None:
    signature = inspect.signature(getattr(manager, method))
    found = list(signature.parameters.values())[1:]
    for name, default, *keyword in expected:
        parameter = signature.parameters[name]
        if default is not REQUIRED:  # a required parameter may have got a default
            assert parameter.default is default or parameter.default == default
        assert (parameter.kind is inspect.Parameter.KEYWORD_ONLY) is bool(keyword)
    positional = [name for name, _, *keyword in expected if not keyword]
    assert [parameter.name for parameter in found[: len(positional)]] == positional
    # New parameters are optional, so that programs for the in-memory interface work.
    assert all(parameter.default is not REQUIRED for parameter in found[len(positional) :])


@pytest.mark.parametrize("manager", MANAGERS)
def test_managers_are_made_from_a_store(manager: type) -> None:
    parameters = list(inspect.signature(manager).parameters.values())
    assert [(parameter.name, parameter.default) for parameter in parameters] == [
        ("store", None),
        ("coordination_metrics", None),
    ]


def test_sessions_can_be_made_without_arguments_and_enums_have_the_known_values() -> None:
    for auction in (BiddingProtocol, AsyncBiddingProtocol):
        (first, *rest) = inspect.signature(auction).parameters.values()
        assert (first.name, first.default) == ("auction_type", "first_price_sealed_bid")
        assert all(parameter.default is not REQUIRED for parameter in rest)
    for name, members in {
        "AuctionType": ["FIRST_PRICE_SEALED_BID", "SECOND_PRICE_SEALED_BID", "ENGLISH", "DUTCH"],
        "NegotiationState": ["PROPOSED", "COUNTERED", "ACCEPTED", "REJECTED", "CLOSED"],
        "DelegationType": ["DIRECT", "POOLED"],
    }.items():
        enum = getattr(converge_redis, name)
        assert [(each.name, each.value) for each in enum] == [(member, member.lower()) for member in members]


def test_manager_modules_export_the_managers() -> None:
    assert task_module.TaskManager is converge_redis.TaskManager
    assert pool_module.PoolManager is converge_redis.PoolManager


def test_the_same_methods_are_coroutine_functions() -> None:
    for name in TASKS:
        assert inspect.iscoroutinefunction(getattr(TaskManager, name)) is (name == "wait_until_done")
        assert inspect.iscoroutinefunction(getattr(AsyncTaskManager, name))


def test_a_task_has_the_fields_and_states_of_the_in_memory_interface() -> None:
    task = Task(objective="x")
    assert (task.state, task.priority, task.inputs, task.constraints) == (TaskState.PENDING, 0, {}, {})
    fields = (
        "id objective inputs outputs constraints evaluator state assigned_to result claimed_at pool_id topic"
    )
    added = "required_capabilities priority claim_token attempts submitted_at finished_at claim_expires_at"
    assert set(Task.model_fields) == {*fields.split(), *added.split()}
    assert [state.value for state in TaskState] == [
        "pending",
        "assigned",
        "running",
        "completed",
        "failed",
        "cancelled",
    ]


def test_task_ids_ascend() -> None:
    ids = [Task().id for _ in range(5000)]
    assert ids == sorted(set(ids))
    assert all(task_id[14] == "7" and task_id[19] in "89ab" for task_id in ids)


@pytest.mark.parametrize("manager", PROTOCOLS)
def test_methods_and_their_parameters_are_documented(manager: type) -> None:
    for name, method in inspect.getmembers(manager, inspect.isfunction):
        if not name.startswith("_"):
            document = inspect.getdoc(method) or ""
            parameters = list(inspect.signature(method).parameters)[1:]
            assert document, name
            assert not parameters or "Args:" in document, name
            assert all(parameter in document for parameter in parameters), name
            assert "space" not in parameters
