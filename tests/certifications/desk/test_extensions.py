"""Extending many certifications at the desk, and undoing it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from certifications.models import Certification, Extension
from mentors.desk import bulk_preview
from mentors.models import Mentor, User
from tests.conftest import Certify, Desk, Enrol
from tests.support.desk import EXPIRED, page, text

pytestmark = pytest.mark.django_db
LIST = "/admin/certifications/certification/"
EXTEND = LIST + "extend/"


class TestExtension:
    def chosen(self, *certifications: Certification, **more: Any) -> dict[str, Any]:
        ids = ",".join(str(one.pk) for one in certifications)
        return {"certifications": ids, "reason": "Kurset ble avlyst.", "until_on": "", "months": "", "days": "", **more}

    def confirm(self, client: Client, preview: Any, chosen: dict[str, Any]) -> Any:
        """Press the button below the preview."""
        seen = preview.context["preview"]["plan"].fingerprint
        assert f'name="seen" value="{seen}"' in text(preview)
        return client.post(EXTEND, chosen | {"seen": seen, "apply": "1"}, follow=True)

    def extend(self, client: Client, chosen: dict[str, Any]) -> None:
        self.confirm(client, client.post(EXTEND, chosen | {"preview": "1"}), chosen)

    def test_what_is_confirmed_twice_is_done_once(
        self, desk: Desk, kari: User, mentor: Mentor, certify: Certify, today: date
    ) -> None:
        certification = certify(mentor, expires_in=10)
        client, chosen = desk(kari), self.chosen(certification, months="6")
        preview = client.post(EXTEND, chosen | {"preview": "1"})

        self.confirm(client, preview, chosen)
        again = self.confirm(client, preview, chosen)

        certification.refresh_from_db()
        assert "Some of them have changed since the preview" in text(again)
        assert certification.expires_on == today + timedelta(days=10) + relativedelta(months=6)
        assert Extension.objects.count() == 1

    def test_what_was_not_looked_at_is_not_done(self, desk: Desk, kari: User, mentor: Mentor, certify: Certify) -> None:
        certification = certify(mentor, expires_in=10)

        answer = desk(kari).post(EXTEND, self.chosen(certification, months="6", apply="1"))

        assert answer.status_code == 422
        assert not Extension.objects.exists()

    def test_the_chosen_are_previewed_extended_and_given_back(
        self, desk: Desk, kari: User, enrol: Enrol, certify: Certify, today: date
    ) -> None:
        mentor = enrol(name="Liv Moe", **EXPIRED)
        one, other = certify(mentor, expires_in=-5), certify(enrol(), expires_in=None)
        client = desk(kari)

        begun = client.post(LIST, {"action": "extend", "_selected_action": [one.pk, other.pk]})
        preview = client.post(EXTEND, self.chosen(one, other, days="30", preview="1"))
        unwritten = Extension.objects.exists()
        done = self.confirm(client, preview, self.chosen(one, other, days="30"))
        extension = Extension.objects.get()
        undone = client.post(page(extension, "undo"), {"reason": "Held after all"}, follow=True)

        one.refresh_from_db()
        assert "2 are chosen." in text(begun)
        assert "is resumed at once" in text(preview)
        assert "open-ended: it never expires" in text(preview)
        assert not unwritten
        assert "1 certification is extended." in text(done)
        assert "1 mentor is resumed." in text(done)
        assert "1 certification expires as before." in text(undone)
        assert one.expires_on == today - timedelta(days=5)

    @pytest.mark.parametrize("more", [{}, {"until_on": "2027-01-01", "days": "3"}])
    def test_it_is_either_a_day_or_so_many_days(
        self, desk: Desk, kari: User, mentor: Mentor, certify: Certify, more: dict[str, str]
    ) -> None:
        answer = desk(kari).post(EXTEND, self.chosen(certify(mentor), preview="1", **more))

        assert answer.status_code == 422
        assert "Write either the new expiry" in text(answer)

    @pytest.mark.parametrize("step", ["preview", "apply"])
    def test_one_of_another_chapter_cannot_be_slipped_in(
        self, desk: Desk, kari: User, mentor: Mentor, bergenser: Mentor, certify: Certify, step: str
    ) -> None:
        ours, theirs = certify(mentor, expires_in=5), certify(bergenser, number="secret", expires_in=5)

        answer = desk(kari).post(EXTEND, self.chosen(ours, theirs, days="30", **{step: "1"}))

        assert answer.status_code == 403
        assert "secret" not in text(answer)
        assert not Extension.objects.exists()

    def test_a_coordinator_sees_of_an_extension_only_her_own_mentors_rows(
        self, desk: Desk, kari: User, olav: User, mentor: Mentor, bergenser: Mentor, certify: Certify
    ) -> None:
        ours, theirs = certify(mentor, expires_in=5), certify(bergenser, number="secret-1", expires_in=5)
        self.extend(desk(olav), self.chosen(ours, theirs, days="30"))
        extension = Extension.objects.get()

        said = text(desk(kari).get(page(extension)))
        undone = desk(kari).post(page(extension, "undo"), {"reason": "x"})

        assert "Liv Moe" in said
        assert "Bergljot" not in said
        assert "secret-1" not in said
        assert undone.status_code == 403
        assert "Bergljot" in text(desk(olav).get(page(extension)))

    def test_an_extension_that_touches_none_of_her_mentors_is_not_there(
        self, desk: Desk, kari: User, olav: User, bergenser: Mentor, certify: Certify
    ) -> None:
        self.extend(desk(olav), self.chosen(certify(bergenser, expires_in=5), days="30"))
        extension = Extension.objects.get()
        client = desk(kari)

        listed = client.get(reverse("admin:certifications_extension_changelist"))
        answers = [client.get(page(extension)), client.post(page(extension, "undo"), {"reason": "x"})]

        assert extension.reason not in text(listed)
        assert {answer.status_code for answer in answers} <= {302, 404}
        extension.refresh_from_db()
        assert extension.undone_at is None

    def test_more_than_a_person_can_look_at_are_refused(
        self, desk: Desk, kari: User, enrol: Enrol, certify: Certify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bulk_preview, "MOST", 2)
        many = [certify(enrol(), expires_in=5) for _ in range(3)]
        every = {"action": "extend", "_selected_action": [many[0].pk], "select_across": "1"}

        begun = desk(kari).post(LIST, every, follow=True)
        posted = desk(kari).post(EXTEND, self.chosen(*many, days="30", apply="1"))

        assert "More than 2 are chosen" in text(begun)
        assert "More than 2 are chosen" in text(posted)
        assert not Extension.objects.exists()

    @pytest.mark.parametrize("ids", ["1;2", "abc", "1,-2", "9" * 30])
    def test_ids_that_are_none_are_refused(self, desk: Desk, kari: User, ids: str) -> None:
        answer = desk(kari).post(EXTEND, {"certifications": ids, "reason": "x", "days": "3", "apply": "1"})

        assert answer.status_code == 422

    def test_preview_and_page_ask_the_database_as_often_for_many_as_for_few(
        self, desk: Desk, olav: User, enrol: Enrol, certify: Certify
    ) -> None:
        client = desk(olav)

        def ask(count: int) -> tuple[int, int]:
            many = [certify(enrol(**EXPIRED), expires_in=-5) for _ in range(count)]
            chosen = self.chosen(*many, days="30")
            with CaptureQueriesContext(connection) as previewed:
                client.post(EXTEND, chosen | {"preview": "1"})
            preview = len(previewed)  # before the next request forgets what this one asked
            self.extend(client, chosen)
            with CaptureQueriesContext(connection) as shown:
                assert client.get(page(Extension.objects.latest("pk"))).status_code == 200
            return preview, len(shown)

        ask(1)  # which fills what a process remembers
        few, many = ask(10), ask(40)

        assert max(few) <= 12
        assert [a <= b for a, b in zip(many, few, strict=True)] == [True, True]
