"""The JSON API of the whole desk at /api/v1/, for scripts and agents."""
