import django.db.models.deletion
from django.db import migrations, models

from polaris.postgresql_tables import drop_key_index, drop_prefix_indexes, fill_pages


class Migration(migrations.Migration):

    dependencies = [
        ('schedules', '0009_schedules_that_are_over'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='activeschedule',
            name='active_waits_on',
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name='activeschedule',
                    name='schedule',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='armed', to='schedules.callschedule'),
                ),
            ],
            database_operations=[drop_key_index('schedules', 'ActiveSchedule', 'schedule')],
        ),
        migrations.AddIndex(
            model_name='activeschedule',
            index=models.Index(condition=models.Q(('waits_on__gt', '')), fields=['waits_on'], name='active_waits_on'),
        ),
        drop_prefix_indexes('schedules'),
        fill_pages('schedules', 'ActiveSchedule', 70),
        fill_pages('schedules', 'CallSchedule', 90),
    ]
