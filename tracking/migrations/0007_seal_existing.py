from django.db import migrations

from polaris.privacy.migrating import seal_existing, unseal_existing


def seal(apps, schema_editor):
    seal_existing(apps, apps.get_model("tracking", "CallLog"), "phone", "notes")
    seal_existing(apps, apps.get_model("tracking", "Notification"), "payload")


def unseal(apps, schema_editor):
    unseal_existing(apps.get_model("tracking", "CallLog"), "phone", "notes")
    unseal_existing(apps.get_model("tracking", "Notification"), "payload")


class Migration(migrations.Migration):

    atomic = False  # in batches, each committed: what was interrupted goes on where it was

    dependencies = [
        ("polaris", "0003_lookup_state"),
        ("tracking", "0006_sealed_columns"),
    ]

    operations = [migrations.RunPython(seal, unseal)]
