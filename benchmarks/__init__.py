"""Measurements against floors taken in the same run: `./mem bench NAME`. Never part of the tests."""
