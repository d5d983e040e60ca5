"""Migrations of the state, run when an advisor starts."""
