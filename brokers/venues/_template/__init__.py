"""What a new venue begins with: copy this package, see README.md. It is no venue and is not registered."""
