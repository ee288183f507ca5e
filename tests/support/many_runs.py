"""What makes many tests quick, and hundreds of runs of them sure at a low priority, for `./mem mutants`."""

from django.db import connection
from django.test import TransactionTestCase

#: What migrations fill, and Django makes anew after it has emptied all tables.
KEPT = {
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
    "django_migrations",
    "django_site",
}


def delete_instead_of_truncating() -> None:
    """Let tests that really commit delete their rows: a tenth of the work of emptying and refilling all tables."""
    TransactionTestCase._fixture_teardown = _delete  # type: ignore[method-assign]


def be_patient() -> None:
    """Let a claim take as long as a busy machine needs: a test that fails for want of time has noticed nothing."""
    from brokers.orders import execution

    execution.CLAIM_SECONDS = 600.0


def _delete(self: TransactionTestCase) -> None:
    tables = sorted(set(connection.introspection.table_names()) - KEPT)
    emptied = "".join(f'DELETE FROM "{table}";' for table in tables)
    with connection.cursor() as cursor:
        # Foreign keys are not looked at while all rows go, so that their order makes no difference.
        cursor.execute(f"SET session_replication_role = replica;{emptied}SET session_replication_role = origin")
