"""A manager calls for proposals, and awards the task to the fastest.

Run it with ``python -m examples.contract_net``.
"""

from converge_redis import ContractNet, RedisStore, Task, TaskManager
from examples.processes import fleet, say


def contractor(url: str, name: str, days: int) -> None:
    """Propose, or refuse if it would take too long; do the task if it is awarded."""
    with RedisStore.from_url(url) as store:
        net, tasks = ContractNet(store), TaskManager(store)
        task_id = net.wait_for_call(name, 40)
        if task_id is None:
            return
        if days > 10:
            net.refuse(task_id, name, "too busy")
            return
        net.propose(task_id, name, {"days": days})
        call = net.wait_for_award(task_id, 40)
        if call is not None and call.contractor_id == name:
            (claim,) = tasks.list_claims(name)
            tasks.report(name, task_id, f"dug in {days} days", claim_token=claim.claim_token)
        elif call is not None:
            say(f"{name} knows that {call.contractor_id} was awarded")


def main() -> None:
    """Call for proposals, wait for the replies, and accept the best."""
    with fleet(contractor, ("ada", 5), ("bob", 3), ("eve", 30)) as store:
        net, tasks = ContractNet(store), TaskManager(store)
        task = Task(objective="dig the well")
        task_id = net.call("manager", task, ["ada", "bob", "eve"], reply_within_sec=30)
        call = net.wait_for_replies(task_id, 40)
        if call is not None:
            for proposal in call.proposals:
                say(f"{proposal.agent_id} proposes {proposal.content['days']} days")
            for agent, reason in call.refusals.items():
                say(f"{agent} refuses: {reason}")
            best = min(call.proposals, key=lambda proposal: proposal.content["days"])
            net.accept(task_id, best.agent_id, by="manager")
        done = tasks.wait(task_id, 20)
        if done is not None:
            say(f"{done.assigned_to} has {done.result}")


if __name__ == "__main__":
    main()
