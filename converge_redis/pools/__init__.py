"""Pools: groups of agents, with admission enforced by the server."""
