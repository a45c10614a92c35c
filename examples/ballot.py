"""Five processes elect a leader by secret votes.

Run it with ``python -m examples.ballot``.
"""

from converge_redis import Ballot, RedisStore
from examples.processes import fleet, say

TERMS = {"options": ["ada", "bob"], "voters": {"n1": 1, "n2": 1, "n3": 1, "n4": 1, "n5": 3}, "quorum": 3}


def voter(url: str, name: str, option: str) -> None:
    """Vote, and wait for the result."""
    with RedisStore.from_url(url) as store:
        ballot = Ballot(store, "leader", **TERMS)  # type: ignore[arg-type]
        say(f"{name} has voted: {ballot.vote(name, option)}; again: {ballot.vote(name, option)}")
        result = ballot.wait_for_result(60)
        if result is not None:
            say(f"{name} knows that {result.decision} leads")


def main() -> None:
    """Wait until all voters have voted, which closes the ballot."""
    with fleet(voter, ("n1", "ada"), ("n2", "ada"), ("n3", "bob"), ("n4", "ada"), ("n5", "bob")) as store:
        ballot = Ballot(store, "leader", **TERMS)  # type: ignore[arg-type]
        ballot.open()
        say(f"an outsider may vote: {ballot.vote('outsider', 'ada')}")
        result = ballot.wait_for_result(60)
        if result is not None:
            say(f"{result.decision} is elected by weight: {result.counts}")


if __name__ == "__main__":
    main()
