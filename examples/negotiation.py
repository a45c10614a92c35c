"""A buyer negotiates with two sellers; each is a process.

Run it with ``python -m examples.negotiation``.
"""

import time

from converge_redis import NegotiationProtocol, RedisStore
from examples.processes import fleet, say


def seller(url: str, name: str, min_price: int) -> None:
    """Ask for 10 less after each offer, and accept an offer of at least `min_price`."""
    with RedisStore.from_url(url) as store:
        negotiations = NegotiationProtocol(store)
        while (session_id := store.get("session")) is None:
            time.sleep(0.05)
        ask, session = 130, negotiations.get_session(session_id)
        while session is not None and not session.state.terminal:
            offer = session.current_proposal
            if offer.proposer_id != "buyer":
                pass
            elif offer.content >= min_price:
                if negotiations.accept(session_id, name, offer.id):
                    say(f"{name} accepts {offer.content}")
            elif ask - 10 >= min_price and negotiations.propose(session_id, name, ask - 10):
                ask -= 10
                say(f"{name} asks for {ask}")
            session = negotiations.wait_for_update(session_id, 60, since=session)


def main() -> None:
    """The buyer: offers 10 more after each counter-proposal."""
    with fleet(seller, ("patient", 100), ("eager", 80)) as store:
        negotiations = NegotiationProtocol(store)
        offer = 50
        session_id = negotiations.create_session("buyer", ["patient", "eager"], offer, deadline_sec=60)
        store.put("session", session_id)
        say(f"buyer offers {offer}")
        session = negotiations.get_session(session_id)
        while session is not None and not session.state.terminal:
            if session.current_proposal.proposer_id != "buyer":
                offer += 10
                if negotiations.propose(session_id, "buyer", offer):
                    say(f"buyer offers {offer}")
            session = negotiations.wait_for_update(session_id, 60, since=session)
        if session is not None:
            say(f"{session.state} at {session.current_proposal.content} by {session.ended_by}")


if __name__ == "__main__":
    main()
