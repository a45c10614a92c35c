"""The API reference shows methods that are made from operation builders."""

import inspect

import griffe
import pytest
from griffe_methods import Methods

import converge_redis
from converge_redis import AsyncTaskManager, TaskManager


@pytest.fixture(scope="module")
def package() -> griffe.Object | griffe.Alias:
    return griffe.load("converge_redis", extensions=griffe.load_extensions(Methods))


@pytest.mark.parametrize("manager", [TaskManager, AsyncTaskManager])
def test_each_method_has_the_signature_and_docstring_of_python(
    package: griffe.Object, manager: type[object]
) -> None:
    functions = package[f"task_manager.{manager.__name__}"].functions
    for name, method in vars(manager).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        assert [parameter.name for parameter in functions[name].parameters] == [
            *inspect.signature(method).parameters
        ]
        assert functions[name].docstring.value == inspect.getdoc(method)
        assert ("async" in functions[name].labels) == inspect.iscoroutinefunction(method)


def test_the_return_type_is_the_decoded_result(package: griffe.Object) -> None:
    assert str(package["task_manager.TaskManager.claim"].returns) == "bool"
    assert str(package["task_manager.AsyncTaskManager.claim_next"].returns) == "list[Task]"


def test_no_public_method_is_shown_as_an_attribute(package: griffe.Object) -> None:
    for name in converge_redis.__all__:
        found = package[name]
        for member in found.attributes.values() if found.is_class else ():
            assert "method(" not in str(member.value)
