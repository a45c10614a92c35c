"""Votes; the module has the name that it has in the in-memory interface."""

from converge_redis.consensus.ballot import AsyncBallot, Ballot
from converge_redis.consensus.counting import Consensus
from converge_redis.consensus.model import BallotSnapshot
from converge_redis.consensus.tally import Tally, VotingMethod

__all__ = ["AsyncBallot", "Ballot", "BallotSnapshot", "Consensus", "Tally", "VotingMethod"]
