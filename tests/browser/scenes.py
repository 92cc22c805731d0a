"""A chapter that looks like a real one: people in every state, and the nights that brought them there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count

from django.utils import timezone

from certifications.models import Certification, CertificationType
from cronjobs.models import CronJob, Run
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.support.nights import noon, run_night

NIGHTS = 8
# Name, and in how many days the course and the declaration of secrecy expire.
PEOPLE = (
    ("Liv Moe", 212, 480),
    ("Åse Ødegård", 25, 300),
    ("Kåre Nilsen", 12, 91),
    ("Ingrid Solberg", 6, 402),
    ("Bjørn Haugen", -2, 122),
    ("Randi Lie", 78, 64),
    ("Terje Bakken", 44, 51),
    ("Solveig Dahl", 1, 350),
    ("Odd Strand", -5, -1),
    ("Gerd Myhre", 330, 29),
)
# A roster of which one line is right and two are wrong.
ROSTER = (
    "\ufeffchapter;mentor_ref;name;email;phone;language;certification;number;issued_on;expires_on\n"
    "Oslo;K1;Kari Nes;kari.nes@example.org;;nb;likepersonkurs;1;01.02.2026;01.02.2029\n"
    "Oslo;K2;Per Nes;per@;;nb;likepersonkurs;1;01.02.2026;01.02.2029\n"
    "Oslo;K3;Ola Nes;;;nb;likepersonkurs;1;31.02.2026;01.02.2029\n"
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Who and what is in it."""

    paused: Mentor
    run: Run
    job: CronJob


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A scene, and who looks at it: the coordinator of the whole organisation."""

    scene: Scene
    olav: User


def set_stage() -> Stage:
    """Found an organisation of one chapter, and set the scene there."""
    hlf = Organisation.objects.create(slug="hlf", name="HLF")
    oslo = Chapter.objects.create(organisation=hlf, name="Oslo", slug="oslo")
    course, secrecy = (
        CertificationType.objects.create(organisation=hlf, code=code, name=name, required=True)
        for code, name in (("likepersonkurs", "Kurs"), ("taushetserklaering", "Taushet"))
    )
    olav = User.objects.create_user("olav", email="olav@example.org")
    CoordinatorRole.objects.create(user=olav, organisation=hlf)
    return Stage(scene=set_scene(oslo, course, secrecy, today=hlf.local_date(timezone.now())), olav=olav)


def set_scene(chapter: Chapter, course: CertificationType, secrecy: CertificationType, *, today: date) -> Scene:
    """Enrol the people, and let the nights up to yesterday pass."""
    organisation = chapter.organisation
    numbers = count(1)
    for position, (name, *days) in enumerate(PEOPLE, 1):
        mentor = Mentor.objects.create(
            organisation=organisation, chapter=chapter, ref=f"M{position}", name=name,
            email=f"m{position}@example.org", language="nb",
        )  # fmt: skip
        for type, ago, expires_in in zip((course, secrecy), (365, 500), days, strict=True):
            Certification.objects.create(
                mentor=mentor,
                type=type,
                number=f"C{next(numbers)}",
                issued_on=today - timedelta(days=ago),
                expires_on=today + timedelta(days=expires_in),
            )
    job = schedule_nightly_run(organisation=organisation, now=timezone.now() - timedelta(days=30))
    nights = [today - timedelta(days=days) for days in range(NIGHTS, 0, -1)]
    runs = [run_night(organisation, night, now=noon(night), cron_job=job) for night in nights]
    return Scene(paused=Mentor.objects.get(name="Odd Strand"), run=runs[-1], job=job)
