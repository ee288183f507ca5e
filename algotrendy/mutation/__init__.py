"""What the tests would notice: small changes in a scratch copy, one at a time (docs/mutation.md)."""
