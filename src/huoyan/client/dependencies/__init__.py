"""What watched programs call: databases, Redis, other services, mail servers. One module for each library."""
