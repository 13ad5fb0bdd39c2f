"""Measure requests and background work of ASGI and WSGI applications."""
