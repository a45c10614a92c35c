"""Four workers bid for a task with sealed commitments; the winner gets the claim.

Run it with ``python -m examples.auction``.
"""

import time

from converge_redis import BiddingProtocol, RedisStore, Task, TaskManager
from examples.processes import fleet, say

TERMS = {
    "auction_type": "second_price_sealed_bid",
    "direction": "min",
    "reserve": 100.0,
    "reveal_sec": 30.0,
}


def bidder(url: str, name: str, cost: float) -> None:
    """Bid the true cost: in a second-price auction no other bid does better."""
    with RedisStore.from_url(url) as store:
        auction = BiddingProtocol(store=store, auction_id="dig the well", **TERMS)  # type: ignore[arg-type]
        if auction.submit_bid(name, cost):
            say(f"{name} has made a sealed bid")
        store.put(f"bidder {name}", True)
        outcome = auction.wait_for_outcome(40)  # reveals the bid after the close
        if outcome is not None and outcome.winner == name:
            say(f"{name} has won, with {cost:g}, and is paid {outcome.price:g}")


def main() -> None:
    """Submit the task, and award it to the winner."""
    bidders = (("ada", 40.0), ("bob", 35.0), ("eve", 60.0), ("joe", 120.0))
    with fleet(bidder, *bidders) as store:
        tasks = TaskManager(store)
        task_id = tasks.submit(Task(objective="dig the well"), delay=60)
        auction = BiddingProtocol(store=store, auction_id="dig the well", **TERMS)  # type: ignore[arg-type]
        while len(store.list("bidder ")) < len(bidders):
            time.sleep(0.05)
        auction.resolve()  # closes the bidding; the bidders then reveal their bids
        auction.wait_for_outcome(40)
        winner = auction.award(task_id)
        for bid in auction.bids():
            say(f"bid {bid.sequence}: {bid.agent_id} asked for {bid.amount}")
        if winner is not None:
            (claim,) = tasks.list_claims(winner)
            say(f"{winner} holds the claim on {claim.objective!r}")


if __name__ == "__main__":
    main()
