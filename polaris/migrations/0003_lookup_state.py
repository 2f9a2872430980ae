from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [('polaris', '0002_audit')]

    operations = [
        migrations.CreateModel(
            name='LookupState',
            fields=[
                ('id', models.CharField(default='numbers', editable=False, max_length=16, primary_key=True, serialize=False)),
                ('key', models.CharField(help_text='The name of the key in use', max_length=8)),
                ('moving_to', models.CharField(blank=True, default='', help_text='The name of the key that replaces it', max_length=8)),
            ],
            options={
                'db_table': 'lookup_state',
                'permissions': [('reveal_numbers', 'Can reveal phone numbers')],
                'default_permissions': (),
            },
        ),
    ]
