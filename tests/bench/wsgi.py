"""What gunicorn serves for the bench: `config.wsgi` with the plain addresses added."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

settings.ROOT_URLCONF = "tests.bench.urls"

from config.wsgi import application  # noqa: E402

__all__ = ["application"]
