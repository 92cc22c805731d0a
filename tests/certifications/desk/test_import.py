"""A roster at the desk: what is imported is what was looked at, by whom it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.models import Certification, RosterUpload
from certifications.roster_uploads import forget_old_uploads, keep_upload
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, User
from tests.conftest import NOW, Certify, Desk, Enrol
from tests.support.desk import EXPIRED
from tests.support.roster import LIV
from tests.support.roster_desk import OLA, WRONG, Upload, say_yes

pytestmark = pytest.mark.django_db


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


# Yes


def test_yes_imports_the_file_once_and_forgets_it(upload: Upload, browser: Client) -> None:
    upload(LIV, OLA)
    waiting = str(RosterUpload.objects.get().pk)

    first = say_yes(browser)
    second = browser.post(reverse("admin:certifications_rosterupload_process_import"), {"import_file_name": waiting})

    assert (first.status_code, first["Location"]) == (302, reverse("admin:mentors_mentor_changelist"))
    assert "2 lines new, 0 changed, 0 unchanged, 0 left out" in said(first)
    assert "The file is not here any more" in said(second)
    assert Certification.objects.count() == 2
    assert not RosterUpload.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_at_once_one_imports(upload: Upload, browser: Client, olav: User) -> None:
    upload(LIV)
    waiting = str(RosterUpload.objects.get().pk)

    def click(_number: int) -> str:
        client = Client()
        client.force_login(olav)
        try:
            url = reverse("admin:certifications_rosterupload_process_import")
            return client.post(url, {"import_file_name": waiting}).headers["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        places = sorted(pool.map(click, range(4)))

    again = reverse("admin:certifications_rosterupload_import")
    assert places == [*[again] * 3, reverse("admin:mentors_mentor_changelist")]
    assert Certification.objects.count() == 1


def test_a_file_with_a_wrong_line_is_imported_only_without_it(upload: Upload, browser: Client) -> None:
    page = upload(LIV, WRONG[0])
    refused = say_yes(browser)
    nothing = Mentor.objects.exists()
    upload(LIV, WRONG[0])
    done = say_yes(browser, skip_errors="on")

    assert 'disabled aria-describedby="roster-why"' in page.content.decode()
    assert "Nothing was imported: 1 line is wrong." in said(refused)
    assert not nothing
    assert "1 lines new, 0 changed, 0 unchanged, 1 left out" in said(done)
    assert Mentor.objects.get().ref == "M1"


def test_chapters_are_created_if_the_preview_was_asked_to(upload: Upload, browser: Client) -> None:
    page = upload(WRONG[0], create_chapters="on")
    say_yes(browser, create_chapters="on")

    assert '<input type="hidden" name="create_chapters" value="on">' in page.content.decode()
    assert Mentor.objects.get().chapter.name == "Atlantis"


def test_what_changed_since_the_preview_counts(upload: Upload, browser: Client, oslo: Chapter) -> None:
    upload(LIV)
    Chapter.objects.filter(pk=oslo.pk).update(name="Gamle Oslo")

    answer = say_yes(browser)

    assert "Nothing was imported: 1 line is wrong." in said(answer)
    assert not Mentor.objects.exists()


# Who


def test_a_coordinator_of_a_chapter_imports_nothing(desk: Desk, kari: User) -> None:
    client = desk(kari)
    names = ("rosterupload_import", "rosterupload_changelist")

    pages = [client.get(reverse(f"admin:certifications_{name}")) for name in names]
    yes = say_yes(client)

    assert [page.status_code for page in (*pages, yes)] == [403] * 3


def test_another_organisation_is_no_choice(upload: Upload, elsewhere: Chapter) -> None:
    page = upload(LIV, organisation=elsewhere.organisation_id)

    assert page.status_code == 422
    assert "organisation" in page.context["form"].errors
    assert f">{elsewhere.organisation.name}<" not in page.content.decode()
    assert not RosterUpload.objects.exists()


def test_who_leads_one_organisation_is_not_asked_which(browser: Client, olav: User, elsewhere: Chapter) -> None:
    url = reverse("admin:certifications_rosterupload_import")

    of_one = browser.get(url).context["form"]["organisation"]
    CoordinatorRole.objects.create(user=olav, organisation=elsewhere.organisation)
    of_two = browser.get(url).context["form"]["organisation"]

    assert (of_one.is_hidden, of_two.is_hidden) == (True, False)


def test_a_file_is_nobodys_but_its_users(upload: Upload, browser: Client, hlf: Organisation) -> None:
    upload(LIV)
    grete = User.objects.create_user("grete")
    CoordinatorRole.objects.create(user=grete, organisation=hlf)
    browser.force_login(grete)

    answer = say_yes(browser)

    assert "The file is not here any more" in said(answer)
    assert RosterUpload.objects.exists()
    assert not Mentor.objects.exists()


def test_who_lost_the_role_since_the_preview_imports_nothing(
    upload: Upload, browser: Client, olav: User, elsewhere: Chapter
) -> None:
    upload(LIV)
    olav.roles.update(organisation=elsewhere.organisation)

    answer = say_yes(browser)

    assert "The file is not here any more" in said(answer)
    assert not Mentor.objects.exists()


@pytest.mark.parametrize("name", ["", "nonsense", "../../etc/passwd", "00000000-0000-0000-0000-000000000000"])
def test_a_file_that_is_not_there_is_no_error(browser: Client, name: str) -> None:
    url = reverse("admin:certifications_rosterupload_process_import")

    answer = browser.post(url, {"import_file_name": name, "format": "99", "resource": "x"})

    assert answer.status_code == 302
    assert "The file is not here any more" in said(answer)


def test_an_upload_has_no_page_of_its_own(upload: Upload, browser: Client) -> None:
    upload(LIV)
    waiting = RosterUpload.objects.get().pk

    pages = [
        browser.get(reverse(f"admin:certifications_rosterupload_{name}", args=[waiting]))
        for name in ("change", "delete", "history")
    ]

    assert all(page.status_code in (302, 403, 404) for page in pages)


# How long a file waits


def test_a_new_upload_takes_the_place_of_the_one_that_waited(upload: Upload) -> None:
    upload(LIV)
    upload(OLA, name="second.csv")

    assert RosterUpload.objects.get().name == "second.csv"


def test_a_file_waits_for_a_day(hlf: Organisation, olav: User, kari: User) -> None:
    old = {"organisation": hlf, "content": b"x", "name": "old.csv"}
    keep_upload(user=olav, now=NOW - timedelta(days=1, seconds=1), **old)  # type: ignore[arg-type]
    young = keep_upload(user=kari, now=NOW - timedelta(hours=23), **old)  # type: ignore[arg-type]

    assert forget_old_uploads(now=NOW) == 1
    assert list(RosterUpload.objects.all()) == [young]


# How much it costs


def test_the_pages_take_a_constant_number_of_queries(
    upload: Upload, browser: Client, enrol: Enrol, certify: Certify, django_assert_max_num_queries: Any
) -> None:
    for number in range(40):
        certify(enrol(ref=f"X{number}", **EXPIRED), expires_in=-5)
    upload(LIV)  # which fills what a process remembers
    with django_assert_max_num_queries(12):
        browser.get(reverse("admin:certifications_rosterupload_import"))
    with CaptureQueriesContext(connection) as few:
        upload(*(OLA.replace("M2", f"X{number}") for number in range(10)))
    with CaptureQueriesContext(connection) as many:
        page = upload(*(OLA.replace("M2", f"X{number}") for number in range(40)))

    assert page.context["report"].resumed == 40
    assert len(few) <= 40
    assert len(many) <= len(few)
