"""An index for: has the rules' later day changed the status of this mentor?"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("mentors", "0003_what_a_pause_is_for")]
    operations = [
        AddIndexConcurrently(
            "statuschange",
            models.Index(
                fields=["business_date"], condition=Q(business_date__isnull=False), name="status_change_of_day"
            ),
        ),
    ]
