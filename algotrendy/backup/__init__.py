"""Backups: one file with the database, the secrets and the reports of imports, and the way back from it."""
