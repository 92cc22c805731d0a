from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cronjobs", "0004_record_text"),
    ]

    operations = [
        migrations.AlterField(
            model_name="alert",
            name="event",
            field=models.CharField(
                choices=[("raised", "raised"), ("still", "still wrong"), ("cleared", "all clear")],
                max_length=7,
                verbose_name="event",
            ),
        ),
        migrations.AlterField(
            model_name="incident",
            name="began_at",
            field=models.DateTimeField(
                help_text="Since when it has been wrong, as far as is known.", verbose_name="began at"
            ),
        ),
        migrations.AlterField(
            model_name="incident",
            name="key",
            field=models.CharField(
                help_text="What is wrong; it is one incident as long as it lasts.", max_length=200, verbose_name="key"
            ),
        ),
        migrations.AlterField(
            model_name="incident",
            name="notified_at",
            field=models.DateTimeField(
                help_text="When operations were last told that it is wrong.", null=True, verbose_name="notified at"
            ),
        ),
    ]
