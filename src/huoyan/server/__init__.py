"""Collect what services report, keep it, decide about it and show it."""
