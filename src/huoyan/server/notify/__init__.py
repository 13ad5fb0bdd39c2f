"""Tell people about incidents."""
