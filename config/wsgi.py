"""The WSGI entry point, for gunicorn.

A visitor does not wait for as long as a night may: here, and not in workers, beat and commands, the database ends a
statement that takes too long, or that waits too long for somebody else's lock (`mentors/rest/errors.py` answers 503).
"""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()


def limit_statements(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    # Not as options of the connection, which a pooler may refuse.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
            [f"{settings.WEB_STATEMENT_SECONDS}s", f"{settings.WEB_LOCK_SECONDS}s"],
        )


connection_created.connect(limit_statements)
