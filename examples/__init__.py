"""Worked applications that Huoyan watches; each has a README of its own."""
