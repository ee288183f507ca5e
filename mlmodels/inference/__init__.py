"""Predictions: which champions are active, what they predict of a bar, what came true, how good they are."""
