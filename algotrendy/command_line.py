"""What stands around every command that a person types."""

import os
import sys
from collections.abc import Sequence

from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import OperationalError, connection


def main(argv: Sequence[str]) -> None:
    """Run a command of `manage.py`; end with advice instead of a traceback if the database does not answer."""
    try:
        execute_from_command_line(list(argv))
    except OperationalError as error:
        if "ALGOTRENDY_PROCESS" in os.environ or _database_answers():
            raise
        sys.exit(_advice(error))


def _database_answers() -> bool:
    try:
        connection.ensure_connection()
    except OperationalError:
        return False
    return True


def _advice(error: OperationalError) -> str:
    if settings.EMBEDDED_POSTGRES:
        return (
            f"This command needs the database of the desk in {settings.DATA_DIR}, and that desk is not running.\n"
            "Start it with ./mem up in another terminal, then run this again. ./mem doctor says what may be wrong."
        )
    return (
        f"The server of DATABASE_URL does not answer: {str(error).strip()}\n"
        "Look whether it runs and whether the address is right, then run this again."
    )
