import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0005_clamp_numbers"),
    ]

    operations = [
        migrations.AlterField(
            model_name="organisation",
            name="brake_minimum",
            field=models.PositiveIntegerField(
                default=20,
                help_text="… or this many, whichever is more.",
                validators=[django.core.validators.MaxValueValidator(1000000)],
                verbose_name="brake, at least",
            ),
        ),
        migrations.AlterField(
            model_name="organisation",
            name="catch_up_hours",
            field=models.PositiveSmallIntegerField(
                default=24,
                help_text="How late a missed night may still run.",
                validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(720)],
                verbose_name="made up within hours",
            ),
        ),
        migrations.AddConstraint(
            model_name="organisation",
            constraint=models.CheckConstraint(
                condition=models.Q(("brake_percent__lte", 100)), name="organisation_brake_is_a_share"
            ),
        ),
        migrations.AddConstraint(
            model_name="organisation",
            constraint=models.CheckConstraint(
                condition=models.Q(("brake_minimum__lte", 1000000)), name="organisation_brake_is_bounded"
            ),
        ),
        migrations.AddConstraint(
            model_name="organisation",
            constraint=models.CheckConstraint(
                condition=models.Q(("catch_up_hours__range", (1, 720))), name="organisation_catch_up_is_bounded"
            ),
        ),
    ]
