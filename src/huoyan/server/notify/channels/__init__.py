"""One folder for each kind of channel; none knows another."""
