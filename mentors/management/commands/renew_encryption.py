"""manage.py renew_encryption: before an old secret is taken away."""

from __future__ import annotations

from typing import Any

from mentors.accounts.second_factor import encrypt_anew
from mentors.management.base import NattevaktCommand


class Command(NattevaktCommand):
    help = (
        "Encrypt by SECRET_KEY what one of SECRET_KEY_FALLBACKS encrypted: the keys of apps for codes. Every night does"
        " so; this is for who cannot wait."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        renewed, unreadable = encrypt_anew()
        self.stdout.write(f"Encrypted anew: {renewed}. Unreadable, because their secret is gone: {unreadable}.")
