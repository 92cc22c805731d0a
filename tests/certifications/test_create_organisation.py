"""The command create_organisation."""

from __future__ import annotations

import pytest
from django.core.management import CommandError

from certifications.models import CertificationType
from mentors.models import Organisation
from tests.support.commands import run, run_for_json


@pytest.mark.django_db
def test_an_organisation_is_created_with_its_settings_and_types() -> None:
    document = run_for_json(
        *("create_organisation", "hlf", "--name", "HLF", "--timezone", "Europe/London", "--language", "nn"),
        *("--type", "likepersonkurs:required", "--type", "tegnsprak"),
        *("--reminder-days", "60,10", "--no-auto-pause", "--expiry-day-invalid"),
    )

    hlf = Organisation.objects.get()
    assert (hlf.slug, hlf.name, hlf.timezone, hlf.language) == ("hlf", "HLF", "Europe/London", "nn")
    assert (hlf.reminder_days, hlf.auto_pause, hlf.valid_through_expiry_day) == ([60, 10], False, False)
    assert dict(hlf.certification_types.values_list("code", "required")) == {"likepersonkurs": True, "tegnsprak": False}
    assert document == {
        "created": True,
        "slug": "hlf",
        "name": "HLF",
        "timezone": "Europe/London",
        "language": "nn",
        "reminder_days": [60, 10],
        "auto_pause": False,
        "valid_through_expiry_day": False,
        "types": [{"code": "likepersonkurs", "required": True}, {"code": "tegnsprak", "required": False}],
    }


def test_run_again_it_changes_what_is_named_and_keeps_the_rest(
    hlf: Organisation, course: CertificationType, sign_language: CertificationType
) -> None:
    Organisation.objects.update(auto_pause=False, reminder_days=[5])

    shown = run("create_organisation", "hlf", "--type", "tegnsprak:required", "forstehjelp")

    hlf.refresh_from_db()
    assert (hlf.name, hlf.auto_pause, hlf.reminder_days) == ("HLF", False, [5])
    assert shown.splitlines() == [
        "Updated hlf (HLF).",
        "Types: forstehjelp, likepersonkurs (required), tegnsprak (required).",
    ]
    course.refresh_from_db()
    assert course.name == "Kurs"


def test_what_was_switched_off_can_be_switched_on_again(hlf: Organisation) -> None:
    run("create_organisation", "hlf", "--no-auto-pause", "--expiry-day-invalid")
    run("create_organisation", "hlf", "--auto-pause", "--expiry-day-valid")

    hlf.refresh_from_db()
    assert (hlf.auto_pause, hlf.valid_through_expiry_day) == (True, True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hlf", "--timezone", "Oslo"), "timezone: "),
        (("hlf", "--language", "xx"), "language: "),
        (("hlf", "--reminder-days", "-1"), "reminder_days: "),
        (("h l f",), "slug: "),
        (("hlf", "--type", "tegn språk"), "code: "),
    ],
)
def test_a_wrong_value_is_told_in_one_line_and_nothing_is_created(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError) as failed:
        run("create_organisation", *arguments, "--name", "HLF")

    assert str(failed.value).startswith(message)
    assert "\n" not in str(failed.value)
    assert failed.value.returncode == 1
    assert not Organisation.objects.exists()


@pytest.mark.django_db
def test_a_new_organisation_without_a_name_is_wrong_usage() -> None:
    with pytest.raises(CommandError, match="needs --name") as failed:
        run("create_organisation", "hlf")

    assert failed.value.returncode == 2


@pytest.mark.django_db
@pytest.mark.parametrize("arguments", [("--type", "kurs:always"), ("--reminder-days", "soon")])
def test_a_malformed_option_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="write"):
        run("create_organisation", "hlf", *arguments)
