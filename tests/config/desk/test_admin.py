"""The desk: every page opens, history cannot be edited, and what is saved has its consequences."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from mentors.models import Mentor, Organisation, User
from mentors.record_text import verbatim
from notifications.models import BadAddress, Notification, Webhook
from notifications.signing import webhook_secret
from tests.conftest import NOW, TODAY, Certify, Desk, Enrol

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model._meta.app_label in {
    "mentors", "certifications", "notifications", "cronjobs",
}]  # fmt: skip


@pytest.fixture
def root(desk: Desk) -> Client:
    """The browser of operations."""
    return desk(User.objects.create_superuser("root"))


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_list_opens(root: Client, mentor: Mentor, certify: Certify, model: type[Model]) -> None:
    certify(mentor)

    answer = root.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))

    assert answer.status_code == 200


def test_a_renewal_in_the_desk_resumes_at_once(root: Client, enrol: Enrol, certify: Certify) -> None:
    mentor = enrol(status="paused", pause_cause="certification_expired")
    expired = certify(mentor, issued_on=TODAY - timedelta(days=400), expires_on=TODAY - timedelta(days=3))

    answer = root.post(
        reverse("admin:certifications_certification_change", args=[expired.pk]),
        {
            "mentor": mentor.pk,
            "type": expired.type_id,
            "number": expired.number,
            "issued_on": expired.issued_on,
            "expires_on": TODAY + timedelta(days=365),
        },
    )

    mentor.refresh_from_db()
    assert answer.status_code == 302
    assert mentor.status == Mentor.Status.ACTIVE


def test_a_dead_letter_is_sent_again_from_the_desk(root: Client, hlf: Organisation, mentor: Mentor) -> None:
    letters = [
        Notification.objects.create(
            dedupe_key=status, organisation=hlf, kind="night", channel="email", status=status, error=verbatim("554"),
            recipient_mentor=mentor, about=mentor, language="nb", created_at=NOW,
        )
        for status in ("failed", "cancelled")
    ]  # fmt: skip

    answer = root.post(
        reverse("admin:notifications_notification_changelist"),
        {"action": "send_again", "_selected_action": [letter.pk for letter in letters]},
        follow=True,
    )

    assert "1 message will be sent again." in answer.content.decode()
    assert list(Notification.objects.order_by("pk").values_list("status", flat=True)) == ["queued", "cancelled"]


def test_an_auditor_sends_nothing_again(desk: Desk, auditor: User, hlf: Organisation, mentor: Mentor) -> None:
    letter = Notification.objects.create(
        dedupe_key="1", organisation=hlf, kind="night", channel="email", status="failed",
        recipient_mentor=mentor, language="nb", created_at=NOW,
    )  # fmt: skip

    answer = desk(auditor).post(
        reverse("admin:notifications_notification_changelist"),
        {"action": "send_again", "_selected_action": [letter.pk]},
    )

    letter.refresh_from_db()
    assert (answer.status_code, letter.status) == (403, "failed")


def test_an_address_that_works_again_is_freed_in_the_desk(root: Client) -> None:
    bad = BadAddress.objects.create(channel="email", address="liv@example.org", reason="550", at=NOW)

    root.post(reverse("admin:notifications_badaddress_delete", args=[bad.pk]), {"post": "yes"})

    assert not BadAddress.objects.exists()


def test_the_desk_shows_the_secret_of_an_app_and_sends_again_to_one_that_has_moved(
    root: Client, hlf: Organisation
) -> None:
    app = Webhook.objects.create(organisation=hlf, url="https://old.example/", gone_at=NOW)
    url = reverse("admin:notifications_webhook_change", args=[app.pk])

    page = root.get(url).content.decode()
    root.post(url, {"organisation": hlf.pk, "url": "https://new.example/", "secret_version": 1})

    app.refresh_from_db()
    assert webhook_secret(app) in page
    assert (app.url, app.gone_at) == ("https://new.example/", None)


def test_how_a_mentor_is_told_is_chosen_on_her_own_page(root: Client, mentor: Mentor) -> None:
    fields = {
        "organisation": mentor.organisation_id, "chapter": mentor.chapter_id, "ref": mentor.ref, "name": mentor.name,
        "language": "nn", "email": mentor.email,
        "preference-TOTAL_FORMS": 1, "preference-INITIAL_FORMS": 0,
        "preference-0-channel": "chat", "preference-0-address": "@liv",
    }  # fmt: skip

    answer = root.post(reverse("admin:mentors_mentor_change", args=[mentor.pk]), fields)

    mentor.refresh_from_db()
    assert answer.status_code == 302
    assert (mentor.language, mentor.preference.channel, mentor.preference.address) == ("nn", "chat", "@liv")


def test_how_a_coordinator_is_told_is_kept_in_the_desk(root: Client, kari: User) -> None:
    root.post(
        reverse("admin:notifications_preference_add"),
        {"user": kari.pk, "mentor": "", "channel": "email", "address": "", "mail": "weekly", "language": "nn"},
    )

    assert (kari.preference.mail, kari.preference.language) == ("weekly", "nn")
    assert root.get(reverse("admin:mentors_user_change", args=[kari.pk])).status_code == 200
