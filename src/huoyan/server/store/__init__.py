"""Keep runs, rollups, alerts and incidents in a database."""
