"""Specifications of pools: invalid fields, dumps, and tokens that are never shown."""

from typing import Any

import fakeredis
import pytest

from converge_redis import (
    CustomAdmission,
    InvalidTypeError,
    InvalidValueError,
    Pool,
    PoolManager,
    PoolSpec,
    RedisStore,
    TokenAdmission,
    Topic,
)
from tests.pools.policies import NamedPolicy

INVALID = [
    ({"id": ""}, InvalidValueError, r"spec\.id must not be empty"),
    ({"id": 5}, InvalidTypeError, r"spec\.id .*5"),
    ({"topics": "t"}, InvalidTypeError, r"spec\.topics .*'t'"),
    ({"topics": ["", "t"]}, InvalidValueError, r"spec\.topics\[0\]"),
    ({"max_agents": 0}, InvalidValueError, r"spec\.max_agents .*0"),
    ({"max_agents": True}, InvalidTypeError, r"spec\.max_agents .*True"),
    ({"trust_threshold": 1.5}, InvalidValueError, r"spec\.trust_threshold .*1\.5"),
    ({"trust_threshold": float("nan")}, InvalidValueError, r"spec\.trust_threshold .*nan"),
    ({"trust_threshold": "1"}, InvalidTypeError, r"spec\.trust_threshold .*'1'"),
    ({"colour": "red"}, InvalidValueError, r"spec\.colour is unknown.*max_agents"),
    ({"metadata": 5}, InvalidValueError, r"spec\.metadata .*5"),
    ({"governance": object()}, InvalidTypeError, r"governance.*object"),
    ({"admission_policy": "closed"}, InvalidValueError, r"spec\.admission_policy\.type .*'closed'"),
    ({"admission_policy": "whitelist"}, InvalidValueError, r"spec\.admission_policy\.allowed is missing"),
    ({"admission_policy": 7}, InvalidTypeError, r"spec\.admission_policy .*7"),
    (
        {"admission_policy": {"type": "open", "x": 1}},
        InvalidValueError,
        r"spec\.admission_policy\.x is unknown",
    ),
    ({"admission_policy": {"type": ["open"]}}, InvalidValueError, r"spec\.admission_policy\.type"),
    (
        {"admission_policy": {"type": "token", "tokens": []}},
        InvalidValueError,
        r"tokens must hold at least one",
    ),
    (
        {"admission_policy": {"type": "whitelist", "allowed": [str(n) for n in range(10_001)]}},
        InvalidValueError,
        r"spec\.admission_policy\.allowed has 10001 entries",
    ),
    ([("id", "p")], InvalidTypeError, r"spec must be a PoolSpec or a mapping, not list"),
]


@pytest.mark.parametrize(("spec", "error", "message"), INVALID)
def test_invalid_specifications_are_refused_with_field_and_value(
    spec: Any, error: type[Exception], message: str
) -> None:
    with RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer())) as store:
        manager = PoolManager(store)
        with pytest.raises(error, match=message):
            manager.create_pool(spec)
        assert manager.list_pools() == []


def test_errors_do_not_show_tokens() -> None:
    invalid: list[Any] = [["s3cret", 5], ["s3cret", ""], "s3cret", ["s3cret\ud800"]]
    for tokens in invalid:
        with pytest.raises((ValueError, TypeError)) as caught:
            TokenAdmission(tokens=tokens)
        assert "s3cret" not in str(caught.value)
        with pytest.raises((ValueError, TypeError)) as caught:
            PoolSpec(admission_policy={"type": "token", "tokens": tokens})
        assert "s3cret" not in str(caught.value)


def test_specifications_and_pools_can_be_dumped_and_loaded() -> None:
    spec = PoolSpec(id="p", topics=[Topic("t")], admission_policy=NamedPolicy(lambda *_: True))
    pool = Pool(id="p", topics=[Topic("t")], admission_policy=CustomAdmission(name="named"))
    for model in (spec, pool):
        assert model.model_dump()["admission_policy"] == {"type": "custom", "name": "named"}
        assert model.model_dump()["topics"] == ["t"]
    assert Pool.model_validate_json(pool.model_dump_json()) == pool
