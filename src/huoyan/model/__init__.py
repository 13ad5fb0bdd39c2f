"""What is true about runs, alerts and incidents; pure, and on the standard library alone."""
