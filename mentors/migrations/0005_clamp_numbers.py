from django.db import migrations

# What the constraints of the next migration refuse becomes the most that they take.
CLAMP = """
    UPDATE mentors_organisation SET
        brake_percent = LEAST(brake_percent, 100),
        brake_minimum = LEAST(brake_minimum, 1000000),
        catch_up_hours = GREATEST(LEAST(catch_up_hours, 720), 1)
    WHERE brake_percent > 100 OR brake_minimum > 1000000 OR catch_up_hours NOT BETWEEN 1 AND 720
"""


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0004_status_change_of_day"),
    ]

    operations = [migrations.RunSQL(CLAMP, migrations.RunSQL.noop)]
