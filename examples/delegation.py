"""Authority is delegated, passed on, checked by other processes, and revoked.

Run it with ``python -m examples.delegation``.
"""

from converge_redis import DelegationProtocol, DelegationRefusedError, RedisStore, Task, TaskManager
from examples.processes import fleet, say


def gatekeeper(url: str, name: str, scope: str) -> None:
    """Check before and after the revocation whether the intern is authorized."""
    with RedisStore.from_url(url) as store:
        delegations, tasks = DelegationProtocol(store), TaskManager(store)
        tasks.wait("delegated", 60)
        say(f"{name}: may the intern {scope}? {delegations.is_authorized('intern', scope)}")
        tasks.cancel_task(f"{name} has checked")
        tasks.wait("revoked", 60)
        say(f"{name}: and now? {delegations.is_authorized('intern', scope)}")


def main() -> None:
    """Delegate from the owner to the lead to the intern; then the owner revokes the first delegation."""
    with fleet(gatekeeper, ("reader", "read"), ("writer", "write")) as store:
        delegations, tasks = DelegationProtocol(store), TaskManager(store)
        names = ["delegated", "revoked", "reader has checked", "writer has checked"]
        tasks.submit_many(Task(id=name) for name in names)
        first = delegations.delegate("owner", "lead", ["read", "write"], expires_in_sec=60)
        second = delegations.delegate("lead", "intern", "read", parent=first)
        try:
            delegations.delegate("intern", "friend", ["read", "write"], parent=second)
        except DelegationRefusedError as error:
            say(f"refused: {error.reason}")
        tasks.cancel_task("delegated")
        tasks.wait_all(names[2:], 60)
        say(f"the owner revokes the delegation to the lead: {delegations.revoke(first, by='owner')}")
        tasks.cancel_task("revoked")


if __name__ == "__main__":
    main()
