"""What a backup or a restore says when it cannot be done."""


class BackupError(Exception):
    """It was not done, and nothing that was there before is changed. The text says why and what to do."""
