"""Real PostgreSQL and real Valkey from wheels, run as children of whoever starts the desk."""
