"""What is measured on: an organisation with years of history, and a night on which a known number of mentors is due.

Every mentor holds a required certification and the two that came before it, every third a second required one: ten
certifications for three mentors. Half of those who are due are to be paused, four tenths reminded, one tenth resumed;
each is due for one thing. Nearly all others are active and covered; some are paused, ended or have renewed early.
Each certification that is past left a reminder in the ledger and its message.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from certifications.models import Certification, CertificationType
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User

SLUG = "bench"
WARM_UP = "warm-up"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much history there is, and how many mentors are due; `certifications` is a multiple of 10."""

    name: str
    certifications: int
    due: int

    @property
    def mentors(self) -> int:
        return self.certifications * 3 // 10

    @property
    def chapters(self) -> int:
        return max(2, self.mentors // 600)

    @property
    def pauses(self) -> int:
        return self.due // 2

    @property
    def reminders(self) -> int:
        return self.due * 4 // 10

    @property
    def resumes(self) -> int:
        return self.due // 10


# The mentors stand in the order of a permutation (`place`), so that those who are due are spread over all chapters:
# first the pauses, then the reminders, then the resumes, then everybody else.
FILL = """
SET LOCAL session_replication_role = replica;  -- no triggers: lapses_on is computed once, at the end

CREATE TEMPORARY TABLE cast_list ON COMMIT DROP AS
SELECT number, place, kind,
       CASE kind WHEN 'resume' THEN 'paused' WHEN 'expired' THEN 'paused' WHEN 'manual' THEN 'paused'
                 WHEN 'ended' THEN 'ended' ELSE 'active' END AS status,
       CASE kind WHEN 'resume' THEN 'certification_expired' WHEN 'expired' THEN 'certification_expired'
                 WHEN 'manual' THEN 'manual' END AS pause_cause,
       %(on)s + CASE kind WHEN 'pause' THEN -1
                                WHEN 'remind' THEN (ARRAY[7, 14, 30])[place %% 3 + 1]
                                WHEN 'expired' THEN -100
                                ELSE 60 + place %% 900 END AS expires_on
FROM (
    SELECT number, place,
           CASE WHEN place < %(pauses)s THEN 'pause'
                WHEN place < %(pauses)s + %(reminders)s THEN 'remind'
                WHEN place < %(pauses)s + %(reminders)s + %(resumes)s THEN 'resume'
                WHEN place %% 100 = 0 THEN 'expired'
                WHEN place %% 100 = 1 THEN 'manual'
                WHEN place %% 100 < 5 THEN 'ended'
                ELSE 'covered' END AS kind
    FROM (
        SELECT number, (number::bigint * 7919 %% %(mentors)s)::integer AS place
        FROM generate_series(1, %(mentors)s) AS number
    ) placed
) named;

INSERT INTO mentors_chapter (id, organisation_id, name, slug)
SELECT number, %(organisation)s, 'Chapter ' || number, 'chapter-' || number
FROM generate_series(1, %(chapters)s) AS number;

INSERT INTO mentors_user (
    id, username, email, password, is_superuser, first_name, last_name, is_staff, is_active, date_joined
)
SELECT number, 'coordinator-' || number, 'coordinator-' || number || '@example.org', '!', false, '', '', true, true,
       now()
FROM generate_series(1, %(chapters)s) AS number;

INSERT INTO mentors_coordinatorrole (duty, user_id, organisation_id, chapter_id)
SELECT 'coordinator', number, %(organisation)s, number FROM generate_series(1, %(chapters)s) AS number;

INSERT INTO mentors_mentor (
    id, organisation_id, chapter_id, ref, name, email, phone, language, status, pause_cause, pause_reason, listed,
    created_at, updated_at
)
SELECT number, %(organisation)s, number %% %(chapters)s + 1, 'M' || number, 'Mentor ' || number,
       CASE WHEN number %% 10 = 0 THEN '' ELSE 'mentor-' || number || '@example.org' END, '', 'nb',
       status, pause_cause, '[]', true, now(), now()
FROM cast_list ORDER BY number;

INSERT INTO certifications_certificationtype (id, organisation_id, code, name, required, grace_days)
VALUES (1, %(organisation)s, 'likepersonkurs', 'Likepersonkurs', true, 0),
       (2, %(organisation)s, 'taushetserklaering', 'Taushetserklæring', true, 0);

-- Certification 1 is the one that counts, 2 and 3 came before it; each is valid for three years.
INSERT INTO certifications_certification (
    mentor_id, type_id, number, issued_on, expires_on, revoked_reason, created_at, updated_at
)
SELECT number, 1, 'K' || number || '-' || nth, expires_on - nth * 1095, expires_on - (nth - 1) * 1095, '', now(), now()
FROM generate_series(3, 1, -1) AS nth CROSS JOIN cast_list
ORDER BY nth DESC, number;

-- The second type; half of those who are paused have let both lapse.
INSERT INTO certifications_certification (
    mentor_id, type_id, number, issued_on, expires_on, revoked_reason, created_at, updated_at
)
SELECT number, 2, 'T' || number, %(on)s - 900,
       %(on)s + CASE WHEN kind = 'pause' AND place %% 2 = 0 THEN -1 ELSE 200 END, '', now(), now()
FROM cast_list WHERE number %% 3 = 0;

-- Renewed early: these begin after the night.
INSERT INTO certifications_certification (
    mentor_id, type_id, number, issued_on, expires_on, revoked_reason, created_at, updated_at
)
SELECT number, 1, 'K' || number || '-0', expires_on - 30, expires_on + 1065, '', now(), now()
FROM cast_list WHERE kind = 'covered' AND place %% 1000 = 500;

INSERT INTO mentors_statuschange (mentor_id, from_status, to_status, cause, reason, at)
SELECT number, 'active', 'paused', COALESCE(pause_cause, 'manual'), '[]', now() - interval '100 days'
FROM cast_list WHERE status = 'paused' OR place %% 10 = 9;
INSERT INTO mentors_statuschange (mentor_id, from_status, to_status, cause, reason, at)
SELECT number, 'paused', 'active', 'manual', '[]', now() - interval '90 days'
FROM cast_list WHERE status <> 'paused' AND place %% 10 = 9;

INSERT INTO cronjobs_run (
    id, organisation_id, business_date, trigger, actions, dry_run, approved, requested_by, status, counts,
    already_handled, created_at, finished_at, concluded_at, error, cause, deviation, code_version
)
VALUES (%(past_run)s, %(organisation)s, %(on)s - 1, 'schedule', '{remind}', false, false, '', 'succeeded', '{}', 0,
        now(), now(), now(), '[]', '[]', '[]', '');

INSERT INTO cronjobs_runitem (
    run_id, action, dedupe_key, mentor_id, certification_id, type, number, expires_on, stage, status, outcome, error,
    attempts, at
)
SELECT %(past_run)s, 'remind', 'remind:' || id || ':' || expires_on || ':30', mentor_id, id, 'likepersonkurs', number,
       expires_on, 30, 'done', '[{"code": "reminded"}]', '[]', 0, now()
FROM certifications_certification WHERE expires_on < %(on)s - 365;

INSERT INTO notifications_notification (
    dedupe_key, organisation_id, kind, channel, recipient_user_id, about_id, run_id, language, context, status,
    attempts, sent_at, message_id, error, created_at
)
SELECT item.dedupe_key || ':inbox:' || mentor.chapter_id, %(organisation)s, 'remind', 'inbox', mentor.chapter_id,
       mentor.id, item.run_id, 'nb', '{"events": []}', 'sent', 0, now() - interval '1 year', '', '[]',
       now() - interval '1 year'
FROM cronjobs_runitem item JOIN mentors_mentor mentor ON mentor.id = item.mentor_id;

ANALYZE mentors_mentor, certifications_certification;
SELECT refresh_lapses_on(ARRAY(SELECT id FROM mentors_mentor));

SELECT setval(pg_get_serial_sequence(name, 'id'), greatest(%(mentors)s, 10)) FROM unnest(ARRAY[
    'mentors_chapter', 'mentors_user', 'mentors_mentor', 'certifications_certificationtype'
]) AS name;
"""


WARM_UPS = 40
ZONE = ZoneInfo("Europe/Oslo")  # whose today the nights are of: a night of another day asks its rules of both


def fill(size: Size, *, on: date, now: datetime) -> None:
    """Fill the empty database that `connection` is connected to; its user must be a superuser."""
    with connection.cursor() as cursor:
        # VACUUM takes no row for visible to all whose commit has not reached the disk, as where commits do not wait.
        cursor.execute("SET synchronous_commit = on")
    organisation = _create_organisation(SLUG, now=now)
    values: dict[str, int | date | UUID] = {
        "on": on,
        "mentors": size.mentors,
        "chapters": size.chapters,
        "pauses": size.pauses,
        "reminders": size.reminders,
        "resumes": size.resumes,
        "organisation": organisation.pk,
        "past_run": uuid4(),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(FILL, values)
    _add_warm_up(on=on, now=now)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _create_organisation(slug: str, *, now: datetime) -> Organisation:
    """Create one that sends half a day from now, so that nothing is delivered while the night is measured."""
    hour = (now + timedelta(hours=12)).astimezone(ZONE).hour
    return Organisation.objects.create(
        slug=slug, name=slug, timezone=ZONE.key, sending_from=time(hour), sending_until=time(hour, 1)
    )


def _add_warm_up(*, on: date, now: datetime) -> None:
    """Add a small organisation, whose night wakes the worker up before the clock is started."""
    organisation = _create_organisation(WARM_UP, now=now)
    chapter = Chapter.objects.create(organisation=organisation, name="Warm-up", slug=WARM_UP)
    CoordinatorRole.objects.create(user=User.objects.create_user(WARM_UP), organisation=organisation, chapter=chapter)
    type = CertificationType.objects.create(organisation=organisation, code="course", name="Course", required=True)
    mentors = Mentor.objects.bulk_create(
        Mentor(organisation=organisation, chapter=chapter, ref=f"W{number}", name="", email="w@example.org")
        for number in range(WARM_UPS)
    )
    Certification.objects.bulk_create(
        Certification(
            mentor=mentor, type=type, issued_on=on - timedelta(days=365), expires_on=on + timedelta(days=number % 2 - 1)
        )
        for number, mentor in enumerate(mentors)
    )
