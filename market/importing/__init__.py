"""Candles from files: csv (also compressed) and parquet, checked line by line and copied into the table."""
