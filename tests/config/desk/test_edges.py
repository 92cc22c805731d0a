"""What no page of the desk sends: addresses with lookups, values and ids that somebody has made up."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from certifications.models import CalendarFeed, Certification, RosterUpload
from mentors.models import Chapter, Mentor, User
from notifications.models import Preference
from tests.conftest import Certify, Desk, Enrol
from tests.support.desk import text
from tests.support.hostile import pairs, parameters_of

pytestmark = pytest.mark.django_db

NUL = "\0"
NO_SUCH_FILTER = "The list has no such filter or page. This is the whole list."
KINDS = [model for model in admin.site._registry if model not in {CalendarFeed, RosterUpload}]  # which have no list
MADE_UP = {
    "a regular expression": {"pk__regex": "("},
    "a lookup across relations": {"user__password__startswith": "p"},
    "a field of its own": {"id__gt": "1"},
    "no field": {"nobody": "1"},
    "no lookup": {"pk__nothing": "1"},
    "a page that is not there": {"p": "0", "e": "1"},
    "a flag": {"e": "1"},
}


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.fixture
def root(desk: Desk) -> Client:
    return desk(User.objects.create_superuser("root"))


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model._meta.label)
def test_a_list_answers_only_to_its_own_filters(root: Client, model: type[Model]) -> None:
    for what, query in MADE_UP.items():
        answer = root.get(list_of(model), query, follow=True)

        assert answer.redirect_chain[-1:] == [(list_of(model), 302)], what
        assert NO_SUCH_FILTER in text(answer), what


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model._meta.label)
@pytest.mark.filterwarnings("ignore:DateTimeField")  # the days of Django's own filters are naive
def test_a_filter_takes_any_value(root: Client, model: type[Model]) -> None:
    values = (NUL, "x", "9" * 30, "9" * 5000, "9999", "9999-12-31", "0001-01-01")
    names = parameters_of(model, root.get(list_of(model)).wsgi_request)

    for name, value in pairs(names, values, each=3):
        assert root.get(list_of(model), {name: value}, follow=True).status_code == 200, (name, value)


@pytest.mark.parametrize("model", KINDS, ids=lambda model: model._meta.label)
def test_an_id_that_no_row_can_have_is_not_there(root: Client, model: type[Model]) -> None:
    ids = ("1'", NUL, f"1{NUL}", "9" * 30, "9" * 5000, "\N{REPLACEMENT CHARACTER}", "-1")

    for page, id in pairs(("change", "delete", "history"), ids, each=4):
        answer = root.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=[id]))

        assert answer.status_code in {302, 403, 404}, (page, id)


class TestWhatIsNotShown:
    """A list must not tell, by what it finds, what it does not show."""

    def test_a_password_is_not_found_letter_by_letter(self, root: Client) -> None:
        answers = [root.get(list_of(User), {"password__startswith": guess}) for guess in ("pbkdf2", "no")]

        assert {(answer.status_code, answer["Location"]) for answer in answers} == {(302, list_of(User) + "?e=1")}

    def test_nor_is_an_address_through_a_relation(self, desk: Desk, kari: User, mentor: Mentor) -> None:
        Preference.objects.create(mentor=mentor, channel="email", address="secret@example.org")

        answers = [
            desk(kari).get(list_of(Mentor), {"preference__address__startswith": guess}) for guess in ("secret", "no")
        ]

        assert {(answer.status_code, answer["Location"]) for answer in answers} == {(302, list_of(Mentor) + "?e=1")}

    def test_nor_does_an_export_tell(self, desk: Desk, kari: User, mentor: Mentor) -> None:
        answer = desk(kari).post(reverse("admin:mentors_mentor_export") + "?email__regex=^liv", {"format": "0"})

        assert (answer.status_code, answer["Location"]) == (302, list_of(Mentor) + "?e=1")

    def test_nor_does_a_redirect_to_any_row_of_any_table(self, desk: Desk, kari: User) -> None:
        assert desk(kari).get("/admin/r/1/1/").status_code == 404


class TestWhatPagesOfTheDeskLinkTo:
    """The home page links to lists by more than their filters."""

    def test_the_certifications_of_a_week(self, desk: Desk, kari: User, enrol: Enrol, certify: Certify) -> None:
        certify(enrol(), expires_in=1, number="soon")
        certify(enrol(), expires_in=300, number="later")

        home = desk(kari).get("/admin/").content.decode()
        [link, *_] = [part.split('"')[0] for part in home.split('href="') if "expires_on__gte" in part.split('"')[0]]
        answer = desk(kari).get(link.replace("&amp;", "&"))

        assert [row.number for row in answer.context["cl"].result_list] == ["soon"]

    def test_a_filter_narrows_the_list(self, desk: Desk, kari: User, enrol: Enrol, oslo: Chapter) -> None:
        enrol(name="Active")
        enrol(name="Ended", status="ended")

        answer = desk(kari).get(list_of(Mentor), {"status__exact": "ended"})

        assert [row.name for row in answer.context["cl"].result_list] == ["Ended"]

    def test_the_certifications_of_a_type(self, desk: Desk, kari: User, mentor: Mentor, certify: Certify) -> None:
        certification = certify(mentor)

        answer = desk(kari).get(list_of(Certification), {"type__id__exact": certification.type_id})

        assert list(answer.context["cl"].result_list) == [certification]


class TestPages:
    @pytest.mark.parametrize("key", ["x", "1'", NUL, "9" * 30, "9" * 5000])
    def test_a_choice_that_no_row_is_is_refused_beside_its_field(self, desk: Desk, kari: User, key: str) -> None:
        answer = desk(kari).post(reverse("admin:certifications_certification_add"), {"mentor": key, "type": key})

        assert answer.status_code == 200
        assert {"mentor", "type"} <= set(answer.context["adminform"].form.errors)

    @pytest.mark.parametrize("key", ["x", NUL, "9" * 30])
    def test_nor_is_it_filled_in_by_an_address(self, desk: Desk, kari: User, key: str) -> None:
        answer = desk(kari).get(reverse("admin:certifications_certification_add"), {"mentor": key})

        assert answer.status_code == 200

    def test_beat_has_no_such_schedule(self, root: Client) -> None:
        fields = dict.fromkeys(("minute", "hour", "day_of_month", "month_of_year", "day_of_week"), "-1")

        answer = root.post(reverse("admin:django_celery_beat_crontabschedule_add"), fields | {"timezone": "UTC"})

        assert answer.status_code == 200
        assert fields.keys() <= answer.context["adminform"].form.errors.keys()

    def test_nobody_makes_up_a_login(self, root: Client) -> None:
        assert root.get(reverse("admin:axes_accessattempt_add")).status_code == 403

    @pytest.mark.parametrize("field", ["password", "nobody", "__", NUL])
    def test_nothing_refers_to_such_a_field(self, root: Client, mentor: Mentor, field: str) -> None:
        answer = root.get(reverse("admin:mentors_mentor_change", args=[mentor.pk]), {"_to_field": field})

        assert answer.status_code == 400
        assert "This cannot be read" in text(answer)

    def test_an_empty_one_means_the_key(self, root: Client, mentor: Mentor) -> None:
        answer = root.get(reverse("admin:mentors_mentor_change", args=[mentor.pk]), {"_to_field": ""})

        assert answer.status_code == 200

    @pytest.mark.parametrize("page", ["0", "x", "9" * 30, NUL])
    def test_a_search_has_no_such_page(self, root: Client, page: str) -> None:
        assert root.get("/admin/search/", {"s": "mentor", "page": page}).status_code == 400
