"""Gather alerts into incidents and follow them to their end."""
