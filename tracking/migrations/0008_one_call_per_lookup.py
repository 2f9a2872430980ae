from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('tracking', '0007_seal_existing'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='calllog',
            constraint=models.UniqueConstraint(condition=models.Q(('attempt__gt', 0), ('status__in', ['in_progress', 'initiated', 'pending', 'queued', 'ringing', 'unknown'])), fields=('phone_lookup',), name='log_one_call_per_lookup'),
        ),
        migrations.RemoveConstraint(
            model_name='calllog',
            name='log_one_call_per_number',
        ),
        migrations.AddIndex(
            model_name='calllog',
            index=models.Index(fields=['phone_lookup'], name='log_phone_lookup'),
        ),
    ]
