from __future__ import annotations

from django.apps import AppConfig


class CertificationsConfig(AppConfig):
    name = "certifications"
