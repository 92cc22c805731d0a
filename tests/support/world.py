"""A small world for the API: two chapters of one organisation and one of another, each with one of everything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from certifications.models import Certification, CertificationType, Exemption
from cronjobs import record_text
from cronjobs.models import Action, CronJob, Run, RunItem
from cronjobs.nightly import ALL_ACTIONS
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.channels import INBOX
from notifications.models import Notification

Duty = CoordinatorRole.Duty


@dataclass(frozen=True, kw_only=True)
class Place:
    """A chapter and one of everything in it; jobs and runs are its organisation's."""

    organisation: Organisation
    chapter: Chapter
    type: CertificationType
    mentor: Mentor
    certification: Certification
    exemption: Exemption
    job: CronJob
    run: Run
    held: Run
    item: RunItem


@dataclass(frozen=True, kw_only=True)
class World:
    own: Place
    other_chapter: Place
    elsewhere: Place
    users: dict[str, User | None]


def build_world(*, today: date, now: datetime) -> World:
    """Build it; `users` are by role: chapter, lead, auditor, superuser, foreign (leads elsewhere), none, anonymous."""
    hlf = _organisation("hlf", "HLF", now=now)
    nbf = _organisation("nbf", "Norges Blindeforbund", now=now)
    own = _place(hlf, "Oslo", today=today, now=now)
    other_chapter = _place(hlf, "Bergen", today=today, now=now)
    elsewhere = _place(nbf, "Ålesund", today=today, now=now)
    users: dict[str, User | None] = {
        "chapter": _user("kari", organisation=hlf, chapter=own.chapter),
        "lead": _user("olav", organisation=hlf),
        "auditor": _user("revisor", organisation=hlf, duty=Duty.AUDITOR),
        "superuser": User.objects.create_superuser("root"),
        "foreign": _user("fremmed", organisation=nbf),
        "none": User.objects.create_user("ingen"),
        "anonymous": None,
    }
    for name in ("chapter", "lead", "foreign"):
        user = users[name]
        organisation = nbf if name == "foreign" else hlf
        Notification.objects.create(
            dedupe_key=f"digest:{name}", organisation=organisation, kind=Notification.Kind.PAUSE,
            channel=INBOX, recipient_user=user, language="nb", sent_at=now, created_at=now,
            status=Notification.Status.SENT, about=elsewhere.mentor if name == "foreign" else own.mentor,
            context={"events": []},
        )  # fmt: skip
    return World(own=own, other_chapter=other_chapter, elsewhere=elsewhere, users=users)


def _organisation(slug: str, name: str, *, now: datetime) -> Organisation:
    organisation = Organisation.objects.create(slug=slug, name=name)
    CertificationType.objects.create(organisation=organisation, code="likepersonkurs", name="Kurs", required=True)
    schedule_nightly_run(organisation=organisation, now=now)
    return organisation


def _place(organisation: Organisation, name: str, *, today: date, now: datetime) -> Place:
    approver, _created = User.objects.get_or_create(username=f"leder-{organisation.slug}")
    chapter = Chapter.objects.create(organisation=organisation, name=name, slug=name.lower().replace("å", "a"))
    type = CertificationType.objects.get(organisation=organisation)
    job = CronJob.objects.get(organisation=organisation)
    mentor = Mentor.objects.create(
        organisation=organisation, chapter=chapter, ref=f"{name}-1", name=f"Likeperson {name}", email="l@example.org"
    )
    certification = Certification.objects.create(
        mentor=mentor,
        type=type,
        number=f"{name}-17",
        issued_on=today - timedelta(days=700),
        expires_on=today + timedelta(days=20),
    )
    exemption = Exemption.objects.create(
        mentor=mentor, type=type, from_on=today, until_on=today, reason="Kurset ble avlyst.", approved_by=approver
    )
    run = _run(organisation, job, Run.Status.SUCCEEDED, today=today, now=now)
    item = RunItem.objects.create(
        run=run, action=Action.REMIND, dedupe_key=f"remind:{certification.pk}", mentor=mentor, at=now, stage=30,
        certification=certification, type=type.code, number=certification.number, expires_on=certification.expires_on,
        status=RunItem.Status.DONE, outcome=record_text.REMINDED(),
    )  # fmt: skip
    held = Run.objects.filter(organisation=organisation, status=Run.Status.HELD).first()
    return Place(
        organisation=organisation,
        chapter=chapter,
        type=type,
        mentor=mentor,
        certification=certification,
        exemption=exemption,
        job=job,
        run=run,
        held=held or _run(organisation, job, Run.Status.HELD, today=today, now=now),
        item=item,
    )


def _run(organisation: Organisation, job: CronJob, status: Run.Status, *, today: date, now: datetime) -> Run:
    closed = status == Run.Status.SUCCEEDED
    return Run.objects.create(
        organisation=organisation,
        cron_job=job,
        business_date=today,
        trigger=Run.Trigger.MANUAL,
        actions=list(ALL_ACTIONS),
        status=status,
        counts={action: {"planned": 0, "done": 0, "skipped": 0, "failed": 0} for action in ALL_ACTIONS},
        created_at=now,
        started_at=now,
        finished_at=now if closed else None,
        code_version="test",
    )


def _user(
    username: str,
    *,
    organisation: Organisation,
    chapter: Chapter | None = None,
    duty: Duty = Duty.COORDINATOR,
) -> User:
    user = User.objects.create_user(username)
    CoordinatorRole.objects.create(user=user, organisation=organisation, chapter=chapter, duty=duty)
    return user
