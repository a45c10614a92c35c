import inspect

import griffe
import pytest
from griffe_verbs import Verbs

import converge_redis
from converge_redis import AsyncTaskManager, TaskManager


@pytest.fixture(scope="module")
def package() -> griffe.Object | griffe.Alias:
    return griffe.load("converge_redis", extensions=griffe.load_extensions(Verbs))


@pytest.mark.parametrize("manager", [TaskManager, AsyncTaskManager])
def test_the_reference_shows_each_verb_as_python_knows_it(
    package: griffe.Object, manager: type[object]
) -> None:
    short_repr = package[f"task_manager.{manager.__name__}"].functions
    for name, method in inspect.getmembers(manager, inspect.isfunction):
        if name.startswith("_"):
            continue
        assert [parameter.name for parameter in short_repr[name].parameters] == [
            *inspect.signature(method).parameters
        ]
        assert short_repr[name].docstring.value == inspect.getdoc(method)
        assert ("async" in short_repr[name].labels) == inspect.iscoroutinefunction(method)


def test_what_a_verb_returns_is_not_its_operation(package: griffe.Object) -> None:
    assert str(package["task_manager.TaskManager.claim"].returns) == "bool"
    assert str(package["task_manager.AsyncTaskManager.claim_next"].returns) == "list[Task]"


def test_nothing_that_is_public_is_left_an_attribute(package: griffe.Object) -> None:
    for name in converge_redis.__all__:
        short_repr = package[name]
        for member in short_repr.attributes.values() if short_repr.is_class else ():
            assert "verb(" not in str(member.value)
