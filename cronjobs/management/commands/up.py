"""What `make up` runs: everything of the Procfile, on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils.crypto import salted_hmac

from mentors.management.base import NattevaktCommand
from mentors.models import User

LOGIN = "admin"


class Command(NattevaktCommand):
    help = "Keep web, worker, beat, the watchdog and Flower running here, for development."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("This is for development (DEBUG=true); for others, see docker-compose.yml.")
        web_port, flower_port = os.environ.setdefault("WEB_PORT", "8000"), os.environ.setdefault("FLOWER_PORT", "5555")
        self._check_free("WEB_PORT", int(web_port))
        self._check_free("FLOWER_PORT", int(flower_port))
        call_command("migrate", verbosity=0)
        # The same every time, for this installation.
        password = salted_hmac("nattevakt.up", LOGIN).hexdigest()[:16]
        flower_login = os.environ.get("FLOWER_BASIC_AUTH") or f"{LOGIN}:{password}"
        os.environ["FLOWER_BASIC_AUTH"] = flower_login
        os.environ["LOG_LEVEL"] = "INFO"
        os.environ.setdefault("PUBLIC_URL", f"http://localhost:{web_port}")  # for the links in messages
        self.stdout.write(f"Admin   http://localhost:{web_port}/admin/   {self._login(password)}")
        self.stdout.write(f"API     http://localhost:{web_port}/api/v1/docs")
        self.stdout.write(
            f"Flower  http://localhost:{flower_port}/         {', password '.join(flower_login.split(':', 1))}"
        )
        self.stdout.write("In another terminal: .venv/bin/python manage.py import_roster …. Ctrl-C ends it.")
        self.stdout.flush()
        os.execv(  # noqa: S606 (no shell is what is wanted)
            sys.executable,
            [sys.executable, "-m", "honcho", "-e", os.devnull, "-f", str(settings.BASE_DIR / "Procfile"), "start"],
        )

    @staticmethod
    def _check_free(variable: str, port: int) -> None:
        """Refuse a port on which somebody else answers: the address would be theirs. Raises CommandError."""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise CommandError(f"Port {port} is taken. Choose another one: {variable}={port + 1} make up")

    def _login(self, password: str) -> str:
        """Make the login on the first call; afterwards it is its owner's."""
        user, created = User.objects.get_or_create(username=LOGIN, defaults={"is_staff": True, "is_superuser": True})
        if created:
            user.set_password(password)
            user.save()
        return f"{LOGIN}, password {password}" if user.check_password(password) else f"{LOGIN}, with your own password"
