"""Imports go one way, and a program loads only what it uses."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a new process has loaded after a statement."""
    code = f"import sys; before = set(sys.modules); {statement}; print(set(sys.modules) - before)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return set(ast.literal_eval(printed))


def packages(modules: set[str]) -> set[str]:
    """Return the packages and modules directly below ``converge_redis``."""
    return {name.split(".")[1] for name in modules if name.startswith("converge_redis.")}


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = grimp.build_graph("converge_redis", exclude_type_checking_imports=False, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    assert len(imports) > 100
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_importing_the_package_loads_none_of_its_modules_and_dependencies() -> None:
    loaded = loaded_after("import converge_redis")
    assert packages(loaded) == set()
    assert {name.split(".")[0] for name in loaded} - sys.stdlib_module_names == {"converge_redis"}
    assert "asyncio" not in loaded


def test_a_task_queue_loads_no_protocols_workers_or_servers() -> None:
    loaded = loaded_after("from converge_redis import RedisStore, Task, TaskManager")
    assert packages(loaded) == {
        *("core", "errors", "observability", "transport", "notifications", "store", "tasks"),
        *("delegation",),
    }
    assert {name for name in loaded if name.startswith("converge_redis.delegation.")} == {
        "converge_redis.delegation.model"  # the encoding of the scopes of `claim(enforce=)`
    }


@pytest.mark.parametrize("name", ["NegotiationProtocol", "BiddingProtocol", "Ballot", "SharedCache"])
def test_a_protocol_does_not_load_the_others(name: str) -> None:
    protocols = {"negotiation", "bidding", "consensus", "contract_net", "cache"}
    assert len(packages(loaded_after(f"from converge_redis import {name}")) & protocols) == 1
