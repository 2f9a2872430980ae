from django.db import migrations
from django.db.models import F


def count_from_the_occurrence(apps, schema_editor):
    apps.get_model("schedules", "ActiveSchedule").objects.update(due_at=F("occurrence"))


class Migration(migrations.Migration):

    dependencies = [("schedules", "0002_engine")]

    operations = [migrations.RunPython(count_from_the_occurrence, migrations.RunPython.noop)]
