from django.db import migrations

from polaris.postgresql_tables import drop_prefix_indexes


class Migration(migrations.Migration):

    dependencies = [
        ('tracking', '0009_age_of_notifications'),
    ]

    operations = [
        drop_prefix_indexes('tracking'),
    ]
