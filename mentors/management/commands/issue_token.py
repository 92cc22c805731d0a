"""manage.py issue_token USERNAME: a token for the API."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from mentors.accounts.access import AccessEnded, NoRole, issue_token
from mentors.management.base import NattevaktCommand
from mentors.models import User


class Command(NattevaktCommand):
    help = "Print a new token for the API (Authorization: Token …). It is shown this once: only its hash is kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", metavar="USERNAME")
        self.add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user “{options['username']}”.")
        if not user.is_active:
            raise CommandError(f"The user “{user.username}” is not active: a token would let nobody in.")
        try:
            issued, token = issue_token(user)
        except (AccessEnded, NoRole) as refusal:
            raise CommandError(f"The user “{user.username}” gets no token. {refusal}") from refusal
        if options["format"] == "json":
            self.write_json({"token": token, "expiry": issued.expiry})
            return
        self.stdout.write(token)
        self.stdout.write(f"It expires at {issued.expiry.isoformat()}." if issued.expiry else "It does not expire.")
