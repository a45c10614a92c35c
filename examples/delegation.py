"""Authority is handed on, checked by those who must, and cut off.

Run it with ``python -m examples.delegation``.
"""

from converge_redis import DelegationProtocol, DelegationRefusedError, RedisStore, Task, TaskManager
from examples.crew import fleet, say


def gatekeeper(url: str, name: str, scope: str) -> None:
    """Ask before and after the revocation whether the intern may."""
    with RedisStore.from_url(url) as store:
        rights, tasks = DelegationProtocol(store), TaskManager(store)
        tasks.wait("handed on", 60)
        say(f"{name}: may the intern {scope}? {rights.is_authorized('intern', scope)}")
        tasks.cancel_task(f"{name} has asked")
        tasks.wait("cut off", 60)
        say(f"{name}: and now? {rights.is_authorized('intern', scope)}")


def main() -> None:
    """Hand authority on from the owner to the lead to the intern; then the owner cuts the first link."""
    with fleet(gatekeeper, ("reader", "read"), ("writer", "write")) as store:
        rights, tasks = DelegationProtocol(store), TaskManager(store)
        names = ["handed on", "cut off", "reader has asked", "writer has asked"]
        tasks.submit_many(Task(id=name) for name in names)
        first = rights.delegate("owner", "lead", ["read", "write"], expires_in_sec=60)
        second = rights.delegate("lead", "intern", "read", parent=first)
        try:
            rights.delegate("intern", "friend", ["read", "write"], parent=second)
        except DelegationRefusedError as error:
            say(f"refused: {error.reason}")
        tasks.cancel_task("handed on")
        tasks.wait_all(names[2:], 60)
        say(f"the owner cuts the lead off: {rights.revoke(first, by='owner')}")
        tasks.cancel_task("cut off")


if __name__ == "__main__":
    main()
