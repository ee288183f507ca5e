"""Rows that fail alone: sweeps and tasks go on with the rest, and what failed is written down to be seen."""
