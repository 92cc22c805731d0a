from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cronjobs", "0009_bound_patience"),
    ]

    operations = [
        migrations.AlterField(
            model_name="incident",
            name="kind",
            field=models.CharField(
                choices=[
                    ("night", "a night is not in order"),
                    ("component", "a component does not answer"),
                    ("delivery", "messages do not leave"),
                    ("deviation", "a night differs from what was expected"),
                    ("drift", "beat has another schedule than the job"),
                    ("schedule", "an organisation has no schedule that works"),
                    ("clock", "a clock was ahead"),
                    ("sweep", "the sweep fails at something"),
                    ("records", "records do not agree with their seals"),
                    ("web", "the web server does not answer"),
                    ("test", "a test of the alarm"),
                ],
                max_length=9,
                verbose_name="kind",
            ),
        ),
    ]
