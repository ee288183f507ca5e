"""Who changed what: written down in the transaction of the change, shown under Settings."""
