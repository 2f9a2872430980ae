import polaris.privacy.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('schedules', '0006_seal_existing'),
        ('tracking', '0005_figures'),
    ]

    operations = [
        migrations.AddField(
            model_name='calllog',
            name='phone_lookup',
            field=polaris.privacy.fields.LookupField(blank=True, default='', editable=False, max_length=64, of='phone'),
        ),
        migrations.AlterField(
            model_name='calllog',
            name='notes',
            field=polaris.privacy.fields.SealedTextField(blank=True, default=''),
        ),
        migrations.AlterField(
            model_name='calllog',
            name='phone',
            field=polaris.privacy.fields.SealedCharField(max_length=64),
        ),
        migrations.AlterField(
            model_name='notification',
            name='payload',
            field=polaris.privacy.fields.SealedJSONField(default=dict),
        ),
    ]
