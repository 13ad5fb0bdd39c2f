"""The routes, one module per noun, each thin over the store."""
