import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("cronjobs", "0008_clamp_patience"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("mentors", "0006_bound_numbers"),
    ]

    operations = [
        migrations.AlterField(
            model_name="cronjob",
            name="alert_after_minutes",
            field=models.PositiveIntegerField(
                default=60,
                validators=[django.core.validators.MaxValueValidator(10080)],
                verbose_name="alarm after minutes",
            ),
        ),
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
                    ("sweep", "the sweep fails at something"),
                    ("records", "records do not agree with their seals"),
                    ("web", "the web server does not answer"),
                    ("test", "a test of the alarm"),
                ],
                max_length=9,
                verbose_name="kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="cronjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("alert_after_minutes__lte", 10080)), name="cron_job_patience_is_bounded"
            ),
        ),
    ]
