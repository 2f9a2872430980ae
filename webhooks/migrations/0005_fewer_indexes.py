from django.db import migrations

from polaris.postgresql_tables import drop_prefix_indexes


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0004_left_over'),
    ]

    operations = [
        drop_prefix_indexes('webhooks'),
    ]
