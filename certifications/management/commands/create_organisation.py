"""manage.py create_organisation SLUG --name N: an organisation with its types; run again, it updates."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from certifications.models import CertificationType
from cronjobs.starting import schedule_nightly_run
from mentors.management.base import NattevaktCommand
from mentors.models import Organisation

SETTINGS = ("name", "timezone", "language", "reminder_days", "auto_pause", "valid_through_expiry_day")


@dataclass(frozen=True)
class TypeOption:
    """`CODE` or `CODE:required`."""

    code: str
    required: bool


def parse_type(text: str) -> TypeOption:
    code, colon, kind = text.partition(":")
    if not code or (colon and kind not in {"required", "optional"}):
        raise argparse.ArgumentTypeError(f"“{text}”: write CODE or CODE:required.")
    return TypeOption(code, kind == "required")


def parse_days(text: str) -> list[int]:
    try:
        return [int(days) for days in text.split(",") if days.strip()]
    except ValueError:
        raise argparse.ArgumentTypeError(f"“{text}”: write days with commas between, as 30,14,7.") from None


class Command(NattevaktCommand):
    help = "Create an organisation with its certification types, or update what is named of it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", metavar="SLUG")
        parser.add_argument("--name", help="needed for a new organisation")
        parser.add_argument("--timezone", help="e.g. Europe/Oslo")
        parser.add_argument("--language", help="nb, nn or en")
        parser.add_argument(
            "--type",
            dest="types",
            metavar="CODE[:required]",
            type=parse_type,
            action="extend",
            nargs="+",
            default=[],
            help="a certification type; those that are not named stay as they are",
        )
        parser.add_argument("--reminder-days", metavar="DAYS", type=parse_days, help="e.g. 30,14,7")
        parser.add_argument(
            "--auto-pause", action=argparse.BooleanOptionalAction, help="pause whose certification expired"
        )
        expiry_day = parser.add_mutually_exclusive_group()
        for flag, value in (("--expiry-day-valid", True), ("--expiry-day-invalid", False)):
            expiry_day.add_argument(
                flag,
                dest="valid_through_expiry_day",
                action="store_const",
                const=value,
                help=f"a certification is {'still' if value else 'no longer'} valid on the day it expires",
            )
        self.add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        settings = {name: options[name] for name in SETTINGS if options[name] is not None}
        try:
            with transaction.atomic():
                organisation, created = _save_organisation(options["slug"], settings)
                for option in options["types"]:
                    _save_type(organisation, option)
                if created:
                    schedule_nightly_run(organisation=organisation, now=timezone.now())
        except ValidationError as error:
            raise CommandError(_in_one_line(error)) from error
        self._report(organisation, created=created, as_json=options["format"] == "json")

    def _report(self, organisation: Organisation, *, created: bool, as_json: bool) -> None:
        types = list(organisation.certification_types.values("code", "required"))
        if as_json:
            values = {name: getattr(organisation, name) for name in ("slug", *SETTINGS)}
            self.write_json({"created": created, **values, "types": types})
            return
        named = ", ".join(type["code"] + (" (required)" if type["required"] else "") for type in types)
        self.stdout.write(f"{'Created' if created else 'Updated'} {organisation.slug} ({organisation.name}).")
        self.stdout.write(f"Types: {named or 'none'}.")
        for job in organisation.cron_jobs.all():
            self.stdout.write(f"Job “{job.name}”: {job.cron_expression} {job.timezone}, as in cron.")


def _save_organisation(slug: str, settings: dict[str, Any]) -> tuple[Organisation, bool]:
    # Not for a change of its key: a night that writes rows of the organisation need not wait, nor this for the night.
    organisation = Organisation.objects.select_for_update(no_key=True).filter(slug=slug).first()
    created = organisation is None
    if organisation is None:
        if "name" not in settings:
            raise CommandError(f"There is no organisation “{slug}” yet: a new one needs --name.", returncode=2)
        organisation = Organisation(slug=slug)
    for name, value in settings.items():
        setattr(organisation, name, value)
    organisation.full_clean()
    organisation.save()
    return organisation, created


def _save_type(organisation: Organisation, option: TypeOption) -> None:
    held = CertificationType.objects.filter(organisation=organisation, code=option.code).first()
    name = option.code.replace("-", " ").replace("_", " ").capitalize()
    saved = held or CertificationType(organisation=organisation, code=option.code, name=name)
    saved.required = option.required
    saved.full_clean()
    saved.save()


def _in_one_line(error: ValidationError) -> str:
    if not hasattr(error, "message_dict"):
        return " ".join(error.messages)
    return " ".join(f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
