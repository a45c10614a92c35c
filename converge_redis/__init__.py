"""Fleets of agents share tasks, claims and pools through Redis or Valkey."""
