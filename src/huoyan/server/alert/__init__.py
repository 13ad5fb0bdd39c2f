"""Decide from rules and values which alerts hold."""
