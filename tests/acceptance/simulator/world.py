"""The world in which every history begins: two small organisations in two zones, made again in no time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from django.db import connection

from certifications.models import Certification, CertificationType
from cronjobs.models import CronJob
from cronjobs.starting import schedule_nightly_run
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from notifications.models import Preference

ZONES = ["Europe/Oslo", "Pacific/Auckland"]
TYPES = {"course": True, "secrecy": True, "signing": False}
NAMES = ["Ada Aas", "Bo Berg", "Cecilie Dahl", "Dag Eide", "Eli Foss", "Finn Gran", "Gro Holm", "Hans Ibsen"]
BOARDS, COORDINATORS = ["board-a", "board-b"], ["coordinator-a", "coordinator-b"]

Holding = tuple[int, int, int | None]  # a type, and in how many days it was issued and expires

# The world is kept in a schema of its own, and a history begins with a copy. No trigger is asked; ids go on from there.
TOOLS = """
    CREATE SCHEMA kept;
    CREATE TABLE simulator_broken (mentor_id bigint PRIMARY KEY);

    CREATE FUNCTION simulator_keep() RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        name text;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', name);
        END LOOP;
    END $$;

    CREATE FUNCTION simulator_begin() RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        name text;
        sequence record;
        newest bigint;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'kept' LOOP
            EXECUTE format('DELETE FROM public.%1$I; INSERT INTO public.%1$I SELECT * FROM kept.%1$I', name);
        END LOOP;
        SET LOCAL session_replication_role = DEFAULT;
        FOR sequence IN
            SELECT depends.objid AS id, depends.refobjid::regclass AS its_table, attname AS its_column
            FROM pg_depend depends
            JOIN pg_class ON pg_class.oid = depends.objid AND relkind = 'S'
            JOIN pg_attribute ON attrelid = depends.refobjid AND attnum = depends.refobjsubid
            WHERE depends.deptype IN ('a', 'i')
        LOOP
            EXECUTE format('SELECT max(%I) FROM %s', sequence.its_column, sequence.its_table) INTO newest;
            PERFORM setval(sequence.id::regclass, COALESCE(newest, 1), newest IS NOT NULL);
        END LOOP;
    END $$;

    -- A row that the database refuses to change, as a night meets them.
    CREATE FUNCTION simulator_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM simulator_broken WHERE mentor_id = NEW.id) THEN
            RAISE EXCEPTION 'broken on purpose';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER simulator_refuse BEFORE UPDATE OF status ON mentors_mentor
    FOR EACH ROW EXECUTE FUNCTION simulator_refuse();
"""


def prepare_world(*, now: datetime) -> None:
    """Write the organisations with their jobs, types, coordinators and mentors, and keep them for all histories."""
    names = iter(NAMES)
    for number, zone in enumerate(ZONES):
        organisation = Organisation.objects.create(
            slug=f"org-{number}", name=f"Org {number}", timezone=zone, language="en", brake_minimum=1
        )
        schedule_nightly_run(organisation=organisation, now=now)
        CertificationType.objects.bulk_create(
            CertificationType(organisation=organisation, code=code, name=code.title(), required=required)
            for code, required in TYPES.items()
        )
        chapters = Chapter.objects.bulk_create(
            Chapter(organisation=organisation, name=name, slug=name.lower()) for name in ("North", "South")
        )
        for username, chapter in ((BOARDS[number], None), (COORDINATORS[number], chapters[0])):
            user = User.objects.create(username=username, email=f"{username}@example.org")
            CoordinatorRole.objects.create(user=user, organisation=organisation, chapter=chapter)
            Preference.objects.create(user=user, language="en")
        Mentor.objects.bulk_create(
            Mentor(
                organisation=organisation,
                chapter=chapter,
                ref=f"{'AB'[number]}{place}",
                name=next(names),
                email=f"{'ab'[number]}{place}@example.org",
                language="en",
            )
            for place, chapter in enumerate((chapters[0], chapters[0], chapters[1], chapters[0]))
        )
    _ask("SELECT simulator_keep()")


def begin_world(*, each: bool, at_all_hours: bool, holdings: Sequence[Sequence[Holding]], today: date) -> None:
    """Make the world as it was prepared, with what its mentors hold, and how its organisations send messages."""
    _ask("SELECT simulator_begin()")
    Organisation.objects.update(
        coordinator_mail="each" if each else "digest", sending_until=time(8) if at_all_hours else time(20)
    )
    types = {
        organisation_id: list(CertificationType.objects.filter(organisation=organisation_id).order_by("pk"))
        for organisation_id in Organisation.objects.values_list("pk", flat=True)
    }
    Certification.objects.bulk_create(
        Certification(
            mentor=mentor,
            type=types[mentor.organisation_id][which],
            number=f"C{number}",
            issued_on=today + timedelta(days=issued),
            expires_on=None if expires is None else today + timedelta(days=max(issued, expires)),
        )
        for mentor, held in zip(Mentor.objects.order_by("pk"), holdings, strict=True)
        for number, (which, issued, expires) in enumerate(held)
    )


def job_of(organisation_id: int) -> CronJob:
    return CronJob.objects.select_related("organisation").get(organisation=organisation_id)


def _ask(query: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query)
