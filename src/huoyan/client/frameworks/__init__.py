"""One adapter for each task framework; none knows another."""
