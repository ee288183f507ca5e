"""Training as arrays in, values out: features, labels, splits, estimators, scores, gate. Pure: no clock."""
