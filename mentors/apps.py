from __future__ import annotations

from django.apps import AppConfig


class MentorsConfig(AppConfig):
    name = "mentors"
