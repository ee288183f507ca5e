"""What is removed once it is old enough, in batches at night, and what was removed last."""
