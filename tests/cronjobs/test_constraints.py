"""What the database itself refuses, by named constraints and triggers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Model

from certifications.models import (
    CalendarFeed,
    Certification,
    CertificationType,
    Exemption,
    ExtendedCertification,
    Extension,
)
from cronjobs.models import Component, CronJob, Forecast, Incident, Outage, Run, RunItem, RunSummary, Seal
from mentors.models import Chapter, CoordinatorRole, Invitation, Mentor, Organisation, StatusChange, User
from mentors.record_text import verbatim
from notifications.models import Answer, BadAddress, Notification, Preference
from tests.conftest import NOW, TODAY
from tests.cronjobs.conftest import SLOT, Expired, claim
from tests.support.nights import run_night


@pytest.mark.parametrize(
    "statement", ["UPDATE mentors_statuschange SET reason = '[]'", "DELETE FROM mentors_statuschange"]
)
def test_a_status_change_is_never_changed_and_never_removed(
    hlf: Organisation, expired: Expired, statement: str
) -> None:
    expired(1)
    run_night(hlf, TODAY)

    with pytest.raises(DatabaseError, match="append_only"), connection.cursor() as cursor:
        cursor.execute(statement)


def violations(hlf: Organisation, oslo: Chapter, course: CertificationType, mentor: Mentor, job: CronJob) -> Any:
    """Return a row for each named constraint that breaks only this one."""
    user = User.objects.create_user("user")
    other = Organisation.objects.create(slug="other", name="Other")
    held = Certification.objects.create(mentor=mentor, type=course, number="C1", issued_on=TODAY, expires_on=TODAY)
    also_held = Certification.objects.create(mentor=mentor, type=course, number="C2", issued_on=TODAY)
    run = Run.objects.create(
        organisation=hlf,
        cron_job=job,
        scheduled_for=SLOT,
        business_date=TODAY,
        trigger="schedule",
        actions=["pause"],
        created_at=NOW,
        code_version="test",
    )
    item = {"run": run, "action": "pause", "mentor": mentor, "dedupe_key": f"pause:{mentor.pk}:0", "at": NOW}
    RunItem.objects.create(**item)
    message = {
        "organisation": hlf,
        "kind": "night",
        "channel": "email",
        "language": "nb",
        "created_at": NOW,
    }
    told = Notification.objects.create(dedupe_key="told", recipient_user=user, **message)
    answer = {"notification": told, "mentor": mentor, "choice": "help", "at": NOW}
    Answer.objects.create(**answer)
    bad_address = {"channel": "email", "address": "liv@example.org", "reason": "550", "at": NOW}
    BadAddress.objects.create(**bad_address)
    CoordinatorRole.objects.create(user=user, organisation=hlf)
    Invitation.objects.create(user=user, duty="coordinator", organisation=hlf, sent_at=NOW)
    change = {"mentor": mentor, "from_status": "paused", "to_status": "active", "cause": "manual", "at": NOW}
    outage = {"component": Component.BEAT, "from_at": SLOT, "until_at": NOW}
    Outage.objects.create(**outage)
    incident = {"kind": "test", "key": "test", "title": verbatim("x"), "began_at": NOW, "seen_at": NOW}
    Incident.objects.create(**incident)
    forecast = {"organisation": hlf, "business_date": TODAY, "expected": {}, "written_at": NOW}
    Forecast.objects.create(**forecast)
    seal = {"organisation": hlf, "number": 1, "run_id": run.pk, "items": 0, "at": NOW}
    Seal.objects.create(**seal)
    summary = {"organisation": hlf, "month": TODAY.replace(day=1), "runs": {}, "counts": {}}
    RunSummary.objects.create(**summary)
    a_run = {
        "business_date": TODAY,
        "trigger": "manual",
        "actions": ["pause"],
        "created_at": NOW,
        "code_version": "test",
    }
    extended = {
        "extension": Extension.objects.create(organisation=hlf, reason="x", by=user, at=NOW),
        "certification": held,
        "from_on": TODAY,
        "to_on": TODAY + timedelta(days=1),
    }
    ExtendedCertification.objects.create(**extended)
    feed = {"digest": "0" * 64, "created_at": NOW}
    CalendarFeed.objects.create(user=user, **feed)
    elsewhere = Chapter.objects.create(organisation=other, name="Elsewhere", slug="elsewhere")
    someone = {"organisation": hlf, "name": "Someone"}
    return {
        "organisation_name_is_one_line": Organisation(slug="two-lines", name="Two\nlines"),
        "chapter_name_is_one_line": Chapter(organisation=hlf, name="Two\nlines", slug="two-lines"),
        "chapter_slug_is_unique": Chapter(organisation=hlf, name="Oslo Vest", slug="oslo"),
        "chapter_name_is_unique": Chapter(organisation=hlf, name="Oslo", slug="oslo-vest"),
        "role_is_unique": CoordinatorRole(user=user, organisation=hlf),
        "auditor_reads_the_whole_organisation": CoordinatorRole(
            user=user, duty=CoordinatorRole.Duty.AUDITOR, organisation=hlf, chapter=oslo
        ),
        "invitation_is_unique": Invitation(user=user, duty="coordinator", organisation=hlf, sent_at=NOW),
        "auditor_is_invited_to_the_whole_organisation": Invitation(
            user=user, duty="auditor", organisation=hlf, chapter=oslo, sent_at=NOW
        ),
        "mentor_ref_is_unique": Mentor(chapter=oslo, ref=mentor.ref, **someone),
        "mentor_has_a_cause_exactly_when_paused": Mentor(chapter=oslo, ref="new", status="paused", **someone),
        "mentor_chapter_is_of_the_organisation": Mentor(chapter=elsewhere, ref="new", **someone),
        "type_code_is_unique": CertificationType(organisation=hlf, code=course.code, name="Again"),
        "certification_is_recorded_once": Certification(mentor=mentor, type=course, number="C1", issued_on=TODAY),
        "certification_expires_after_issue": Certification(
            mentor=mentor, type=course, issued_on=TODAY, expires_on=TODAY - timedelta(days=1)
        ),
        "exemption_ends_after_it_begins": Exemption(
            mentor=mentor,
            type=course,
            from_on=TODAY,
            until_on=TODAY - timedelta(days=1),
            reason="x",
            approved_by=user,
        ),
        "extension_extends_each_once": ExtendedCertification(**extended),
        "extension_is_to_later": ExtendedCertification(**extended | {"certification": also_held, "to_on": TODAY}),
        "extension_is_undone_by_somebody": Extension(organisation=hlf, reason="x", by=user, at=NOW, undone_at=NOW),
        "calendar_feed_address_is_unique": CalendarFeed(user=User.objects.create_user("another"), **feed),
        "cron_job_name_is_unique": CronJob(organisation=hlf, name=job.name, timezone="Europe/Oslo", slots_from=NOW),
        "cron_job_patience_is_bounded": CronJob(
            organisation=hlf, name="patient", timezone="Europe/Oslo", slots_from=NOW, alert_after_minutes=2**31 - 1
        ),
        "status_change_changes_something": StatusChange(**change | {"from_status": "active"}),
        "status_change_pauses_for_types": StatusChange(**change | {"paused_for": [course.pk]}),
        "organisation_brake_is_a_share": Organisation(slug="percent", brake_percent=101),
        "organisation_brake_is_bounded": Organisation(slug="minimum", brake_minimum=2**31 - 1),
        "organisation_catch_up_is_bounded": Organisation(slug="hours", catch_up_hours=32_767),
        "outage_is_written_once": Outage(**outage),
        "outage_ends_after_it_begins": Outage(component=Component.BROKER, from_at=NOW, until_at=NOW),
        "incident_is_open_once": Incident(**incident),
        "forecast_is_one_a_night": Forecast(**forecast),
        "seal_has_one_place": Seal(**seal),
        "run_summary_is_one_a_month": RunSummary(**summary),
        "run_slot_is_claimed_once": Run(organisation=other, cron_job=job, scheduled_for=SLOT, status="missed", **a_run),
        "run_is_alone_in_its_organisation": Run(organisation=hlf, **a_run),
        "run_item_acts_once": RunItem(**item | {"certification": held}),
        "notification_is_written_once": Notification(dedupe_key="told", recipient_user=user, **message),
        "notification_has_one_recipient": Notification(
            dedupe_key="both", recipient_user=user, recipient_mentor=mentor, **message
        ),
        "notification_has_organisation": Notification(
            dedupe_key="nobody's", recipient_user=user, **message | {"organisation": None}
        ),
        "preference_is_of_one_person": Preference(user=user, mentor=mentor),
        "preference_of_mentor_has_no_mail": Preference(mentor=mentor, mail="weekly"),
        "bad_address_is_marked_once": BadAddress(**bad_address),
        "answer_is_given_once": Answer(**answer),
    }


def save_at_once(row: Model) -> None:
    """Insert the row and check what is deferred to the end of the transaction."""
    with transaction.atomic():
        row.save(force_insert=True)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


CONSTRAINTS = [
    "organisation_name_is_one_line",
    "chapter_name_is_one_line",
    "chapter_slug_is_unique",
    "chapter_name_is_unique",
    "role_is_unique",
    "auditor_reads_the_whole_organisation",
    "invitation_is_unique",
    "auditor_is_invited_to_the_whole_organisation",
    "mentor_ref_is_unique",
    "mentor_has_a_cause_exactly_when_paused",
    "mentor_chapter_is_of_the_organisation",
    "type_code_is_unique",
    "certification_is_recorded_once",
    "certification_expires_after_issue",
    "exemption_ends_after_it_begins",
    "extension_extends_each_once",
    "extension_is_to_later",
    "extension_is_undone_by_somebody",
    "calendar_feed_address_is_unique",
    "cron_job_name_is_unique",
    "cron_job_patience_is_bounded",
    "status_change_changes_something",
    "status_change_pauses_for_types",
    "organisation_brake_is_a_share",
    "organisation_brake_is_bounded",
    "organisation_catch_up_is_bounded",
    "outage_is_written_once",
    "outage_ends_after_it_begins",
    "incident_is_open_once",
    "forecast_is_one_a_night",
    "seal_has_one_place",
    "run_summary_is_one_a_month",
    "run_slot_is_claimed_once",
    "run_is_alone_in_its_organisation",
    "run_item_acts_once",
    "notification_is_written_once",
    "notification_has_one_recipient",
    "notification_has_organisation",
    "preference_is_of_one_person",
    "preference_of_mentor_has_no_mail",
    "bad_address_is_marked_once",
    "answer_is_given_once",
]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_database_refuses_by_a_named_constraint(
    hlf: Organisation, oslo: Chapter, course: CertificationType, mentor: Mentor, job: CronJob, constraint: str
) -> None:
    row: Model = violations(hlf, oslo, course, mentor, job)[constraint]

    with pytest.raises(IntegrityError, match=constraint):
        save_at_once(row)


def test_every_constraint_of_the_project_is_violated_above() -> None:
    named = {
        constraint.name
        for app in ("mentors", "certifications", "notifications", "cronjobs")
        for model in apps.get_app_config(app).get_models()
        for constraint in model._meta.constraints
    }
    # What only carries a foreign key over two columns cannot be violated: `id` alone is unique already.
    assert named - {"chapter_with_organisation"} <= set(CONSTRAINTS)


def test_a_key_given_back_may_be_used_again(hlf: Organisation, mentor: Mentor) -> None:
    run = claim(hlf)
    item = {"run": run, "action": "pause", "mentor": mentor, "dedupe_key": str(uuid4()), "at": NOW}

    for status in ("skipped", "failed", "skipped", "done"):
        RunItem.objects.create(status=status, **item)

    with pytest.raises(IntegrityError, match="run_item_acts_once"):
        RunItem.objects.create(status="pending", **item)
