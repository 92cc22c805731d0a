"""Look whether every message of before has its organisation, while others are written."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("notifications", "0009_account_mail")]

    operations = [ValidateConstraint(model_name="notification", name="notification_has_organisation")]
