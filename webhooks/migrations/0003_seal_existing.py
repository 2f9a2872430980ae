from django.db import migrations

from polaris.privacy.migrating import seal_existing, unseal_existing


def seal(apps, schema_editor):
    seal_existing(apps, apps.get_model("webhooks", "WebhookEvent"), "payload")


def unseal(apps, schema_editor):
    unseal_existing(apps.get_model("webhooks", "WebhookEvent"), "payload")


class Migration(migrations.Migration):

    atomic = False  # in batches, each committed: what was interrupted goes on where it was

    dependencies = [("webhooks", "0002_sealed_payload")]

    operations = [migrations.RunPython(seal, unseal)]
