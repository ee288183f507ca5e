"""How the desk reaches its database where the ORM is too slow or too much."""
