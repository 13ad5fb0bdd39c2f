"""Declare each quantity once; values, rules, panels and documentation come from the declaration."""
