"""Editors see names, signatures and docstrings; Jedi reads the source without running it."""

import inspect

import jedi
import pytest

import converge_redis


@pytest.mark.parametrize(
    "path",
    [
        "TaskManager.claim_next",
        "AsyncTaskManager.report",
        "TaskManager.as_completed",
        "PoolManager.join_pool",
        "BiddingProtocol.submit_bid",
        "AsyncBallot.vote",
        "SharedCache.get_or_compute",
        "RedisStore.put",
        "AsyncRedisStore.get",
        "Worker.drain",
    ],
)
def test_an_editor_shows_the_signature_and_the_docstring_of_a_method(path: str) -> None:
    cls, name = path.split(".")
    method = getattr(getattr(converge_redis, cls), name)
    source = f"from converge_redis import {cls}\n\n\ndef use(target: {cls}) -> None:\n    target.{name}("
    (signature,) = jedi.Script(source).get_signatures()
    expected = [parameter for parameter in inspect.signature(method).parameters if parameter != "self"]
    assert [parameter.name for parameter in signature.params] == expected
    first_line = (inspect.getdoc(method) or "").partition("\n")[0]
    assert first_line
    assert first_line in signature.docstring()


def test_an_editor_completes_all_public_names() -> None:
    completions = jedi.Script("import converge_redis\n\nconverge_redis.").complete()
    assert set(converge_redis.__all__) <= {completion.name for completion in completions}
