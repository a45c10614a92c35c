"""Errors form a tree, carry ids and reasons, and cross process borders."""

import pickle

import pytest

import converge_redis
from converge_redis import (
    ActRefusedError,
    AdmissionDeniedError,
    AlreadyExistsError,
    ClaimLostError,
    ConvergeError,
    DelegationRefusedError,
    NotAuthorizedError,
    PoolExistsError,
    RefusedError,
    StoreAuthenticationError,
    StoreClosedError,
    StoreError,
    StoreFullError,
    StoreReplyError,
    StoreUnavailableError,
    TaskCancelledError,
    TaskExistsError,
)

ERRORS = [
    error
    for error in map(vars(converge_redis.errors).get, converge_redis.__all__)
    if isinstance(error, type) and issubclass(error, Exception)
]


def test_every_error_is_below_the_root() -> None:
    assert len(ERRORS) > 20
    assert all(issubclass(error, ConvergeError) for error in ERRORS)


@pytest.mark.parametrize(
    ("group", "members"),
    [
        (
            StoreError,
            [
                StoreUnavailableError,
                StoreAuthenticationError,
                StoreFullError,
                StoreReplyError,
                StoreClosedError,
            ],
        ),
        (
            RefusedError,
            [
                NotAuthorizedError,
                ClaimLostError,
                TaskCancelledError,
                AdmissionDeniedError,
                ActRefusedError,
                DelegationRefusedError,
            ],
        ),
        (AlreadyExistsError, [TaskExistsError, PoolExistsError]),
    ],
)
def test_errors_of_one_kind_have_a_common_base(group: type, members: list[type]) -> None:
    assert all(issubclass(member, group) for member in members)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_survives_pickling_with_its_message_and_attributes(kind: type[Exception]) -> None:
    error = kind("what happened")
    vars(error).update(dict.fromkeys(vars(error), "an attribute"))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy), vars(copy)) == (kind, "what happened", vars(error))
