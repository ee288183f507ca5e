"""Predictions: which champions are asked, what they predict of a bar, what came true, and how good they are."""
