"""Show what is known in the formats of other monitoring systems."""
