"""A mail-sending service: several clients, templates, regions and priorities, sent over SMTP from a queue."""
