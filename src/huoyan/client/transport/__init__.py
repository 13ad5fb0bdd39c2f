"""Carry events out of the process."""
