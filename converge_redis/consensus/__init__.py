"""Votes."""

from converge_redis.consensus.ballot import AsyncBallot, Ballot
from converge_redis.consensus.counting import Consensus
from converge_redis.consensus.model import BallotState
from converge_redis.consensus.tally import Tally, VotingMethod

__all__ = ["AsyncBallot", "Ballot", "BallotState", "Consensus", "Tally", "VotingMethod"]
