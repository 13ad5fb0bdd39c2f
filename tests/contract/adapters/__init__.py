"""Drivers of the contract suite: one module per framework, each knows how to make its framework do a piece of work."""
