from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tracking', '0003_calls_of_others'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='calllog',
            constraint=models.UniqueConstraint(condition=models.Q(('attempt__gt', 0), ('status__in', ['in_progress', 'initiated', 'pending', 'queued', 'ringing', 'unknown'])), fields=('phone',), name='log_one_call_per_number'),
        ),
    ]
