"""manage.py reset_second_factor USERNAME: somebody has lost their app and their codes on paper."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from mentors.accounts.second_factor import reset_second_factor
from mentors.management.base import NattevaktCommand
from mentors.models import User


class Command(NattevaktCommand):
    help = (
        "Remove the app and the codes of a user who has lost them. At the next login the password is enough to set up"
        " a new app, so make sure who is asking."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", metavar="USERNAME")
        self.add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user “{options['username']}”.")
        removed = reset_second_factor(user, actor=None)
        if options["format"] == "json":
            self.write_json({"username": user.username, "removed": removed})
            return
        self.stdout.write("The second factor is removed." if removed else "There was no second factor.")
