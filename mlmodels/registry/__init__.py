"""Stored models: which version is champion and why, its family, its artefact and how that is opened."""
