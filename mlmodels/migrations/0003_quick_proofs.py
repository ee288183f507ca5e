"""Quick runs of the honesty suite are known by a column of their own instead of the end of their subject."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SUFFIX = ", quick"


def mark_quick(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Mark the runs whose subject says that they were quick."""
    for run in apps.get_model("mlmodels", "ProofRun").objects.filter(subject__endswith=SUFFIX):
        run.quick, run.subject = True, run.subject.removesuffix(SUFFIX)
        run.save(update_fields=["quick", "subject"])


class Migration(migrations.Migration):
    dependencies = [
        ("mlmodels", "0002_help_texts"),
    ]

    operations = [
        migrations.AddField(
            model_name="proofrun",
            name="quick",
            field=models.BooleanField(
                default=False, help_text="Few trials: a first look, no evidence whatever it ends with."
            ),
        ),
        migrations.RunPython(mark_quick, migrations.RunPython.noop),
    ]
