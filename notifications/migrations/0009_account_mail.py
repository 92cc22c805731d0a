"""Let a message to an account's owner be of no organisation."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0008_told_by_itself")]

    operations = [
        migrations.AlterField(
            model_name="notification",
            name="kind",
            field=models.CharField(
                choices=[
                    ("remind", "a certification expires soon"),
                    ("pause", "a mentor was paused"),
                    ("resume", "a mentor was resumed"),
                    ("night", "what is due for a mentor"),
                    ("handover", "a paused mentor's work needs somebody else"),
                    ("answer", "a mentor has answered a reminder"),
                    ("bounced", "messages to somebody come back"),
                    ("digest", "what there is to know, in one message"),
                    ("weekly", "what there is to know, once a week"),
                    ("held", "a run waits for a person"),
                    ("no_coordinator", "nobody looks after a mentor"),
                    ("late", "a run is late"),
                    ("failed", "a run failed, in whole or in part"),
                    ("invited", "an invitation to the desk"),
                    ("account", "something about one's own account"),
                    ("app_gone", "an organisation's app takes no messages any more"),
                ],
                max_length=14,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="organisation",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="mentors.organisation",
                verbose_name="organisation",
            ),
        ),
        # Years of messages are not read while nobody may write one: the next migration looks at them.
        AddConstraintNotValid(
            model_name="notification",
            constraint=models.CheckConstraint(
                condition=models.Q(kind="account") ^ models.Q(organisation__isnull=False),
                name="notification_has_organisation",
            ),
        ),
    ]
