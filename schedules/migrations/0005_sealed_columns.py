import polaris.privacy.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('schedules', '0004_waits_on'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='callschedule',
            name='schedule_phone',
        ),
        migrations.AddField(
            model_name='callschedule',
            name='phone_lookup',
            field=polaris.privacy.fields.LookupField(blank=True, default='', editable=False, max_length=64, of='phone'),
        ),
        migrations.AlterField(
            model_name='callschedule',
            name='notes',
            field=polaris.privacy.fields.SealedTextField(blank=True, default='', max_length=10000),
        ),
        migrations.AlterField(
            model_name='callschedule',
            name='phone',
            field=polaris.privacy.fields.SealedCharField(help_text='E.164, such as +15005550006', max_length=16),
        ),
        migrations.AddIndex(
            model_name='callschedule',
            index=models.Index(fields=['phone_lookup'], name='schedule_phone_lookup'),
        ),
    ]
