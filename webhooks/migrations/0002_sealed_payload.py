import polaris.privacy.fields
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='webhookevent',
            name='payload',
            field=polaris.privacy.fields.SealedJSONField(default=dict),
        ),
    ]
