"""Venues: one package each behind `brokers.contract`, and the one registry that names them."""
