from django.db import migrations


def count_as_not_ours(apps, schema_editor):
    apps.get_model("tracking", "CallLog").objects.filter(occurrence=None).update(attempt=0)


class Migration(migrations.Migration):

    dependencies = [("tracking", "0002_engine")]

    operations = [migrations.RunPython(count_as_not_ours, migrations.RunPython.noop)]
