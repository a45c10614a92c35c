"""A buyer and two sellers haggle, each in a process of its own.

Run it with ``python -m examples.negotiation``.
"""

import time

from converge_redis import NegotiationProtocol, RedisStore
from examples.crew import fleet, say


def seller(url: str, name: str, least: int) -> None:
    """Come down by 10 with each offer, and accept what is not below the least."""
    with RedisStore.from_url(url) as store:
        talks = NegotiationProtocol(store)
        while (session_id := store.get("haggling")) is None:
            time.sleep(0.05)
        ask, session = 130, talks.get_session(session_id)
        while session is not None and not session.state.terminal:
            offer = session.current_proposal
            if offer.proposer_id != "buyer":
                pass
            elif offer.content >= least:
                if talks.accept(session_id, name, offer.id):
                    say(f"{name} accepts {offer.content}")
            elif ask - 10 >= least and talks.propose(session_id, name, ask - 10):
                ask -= 10
                say(f"{name} asks for {ask}")
            session = talks.wait_for_update(session_id, 60, since=session)


def main() -> None:
    """Be the buyer: offer 10 more whenever a seller asks for too much."""
    with fleet(seller, ("patient", 100), ("eager", 80)) as store:
        talks = NegotiationProtocol(store)
        offer = 50
        session_id = talks.create_session("buyer", ["patient", "eager"], offer, deadline_sec=60)
        store.put("haggling", session_id)
        say(f"buyer offers {offer}")
        session = talks.get_session(session_id)
        while session is not None and not session.state.terminal:
            if session.current_proposal.proposer_id != "buyer":
                offer += 10
                if talks.propose(session_id, "buyer", offer):
                    say(f"buyer offers {offer}")
            session = talks.wait_for_update(session_id, 60, since=session)
        if session is not None:
            say(f"{session.state} at {session.current_proposal.content} by {session.ended_by}")


if __name__ == "__main__":
    main()
