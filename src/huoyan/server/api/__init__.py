"""The HTTP API: routes by noun, thin over the store and the services."""
