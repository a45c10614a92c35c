"""The Contract Net: calls for proposals."""

from converge_redis.contract_net.model import CallForProposals, CallState, ContractProposal
from converge_redis.contract_net.protocol import AsyncContractNet, ContractNet

__all__ = ["AsyncContractNet", "CallForProposals", "CallState", "ContractNet", "ContractProposal"]
