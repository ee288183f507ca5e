"""Desks with a long past, and the processes that are asked what they take on them."""
