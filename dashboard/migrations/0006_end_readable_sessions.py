from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def end_sessions(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Delete sessions whose keys and data lie readable in the table: everybody signs in once more."""
    apps.get_model("sessions", "Session").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0005_sent_forms"), ("sessions", "0001_initial")]

    operations = [migrations.RunPython(end_sessions, migrations.RunPython.noop, elidable=True)]
