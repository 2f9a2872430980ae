from django.db import migrations

from polaris.postgresql_tables import drop_prefix_indexes


class Migration(migrations.Migration):

    dependencies = [
        ('polaris', '0005_counters'),
    ]

    operations = [
        drop_prefix_indexes('polaris'),
    ]
