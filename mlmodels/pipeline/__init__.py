"""Training as arrays in, values out: features, labels, splits, estimators, scores, gate. No Django, no clock."""
