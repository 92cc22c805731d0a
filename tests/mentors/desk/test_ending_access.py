"""Whatever lets somebody in ends at once, and for good: every event, every way in, every reader of what is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from knox.models import AuthToken

from certifications.ical import make_feed
from mentors.accounts.access import AccessEnded, NoRole, issue_token
from mentors.accounts.passwords import PasswordLinks
from mentors.accounts.second_factor import enrol_device, find_device, reset_second_factor
from mentors.admin.organisations import OthersPasswordForm
from mentors.admin.password_reset import NewPasswordForm
from mentors.desk.site import OwnPasswordForm
from mentors.models import Chapter, CoordinatorRole, Mentor, Organisation, Session, User
from tests.conftest import NOW
from tests.support.second_factor import KEY, PASSWORD, code_of, is_in, log_in

pytestmark = pytest.mark.django_db
NEW = "a long and new password"


@pytest.fixture
def lene(oslo: Chapter) -> User:
    """A superuser, who changes other accounts."""
    return User.objects.create_superuser("lene", password=PASSWORD)


# What happens to Berit's account.


def a_new_password(user: User, lene: Client) -> None:
    user.set_password(NEW)
    user.save()


def a_password_taken_away_at_the_desk(user: User, lene: Client) -> None:
    lene.post(f"/admin/mentors/user/{user.pk}/password/", {"usable_password": "false", "unset-password": "1"})


def a_second_factor_reset(user: User, lene: Client) -> None:
    reset_second_factor(user, actor=None)


def an_account_closed_at_the_desk(user: User, lene: Client) -> None:
    page = reverse("admin:mentors_user_change", args=[user.pk])
    form = lene.get(page).context["adminform"].form
    fields = {name: form[name].value() or "" for name in form.fields if name not in ("is_active", "password")}
    inline = {"preference-TOTAL_FORMS": 0, "preference-INITIAL_FORMS": 0}
    assert lene.post(page, {k: v for k, v in fields.items() if v is not False} | inline).status_code == 302


def the_last_role_ended_at_the_desk(user: User, lene: Client) -> None:
    lene.post(f"/admin/mentors/coordinatorrole/{user.roles.get().pk}/delete/", {"post": "yes"})


def the_only_chapter_removed(user: User, lene: Client) -> None:
    user.roles.get().chapter.delete()  # type: ignore[union-attr]


EVENTS = [
    a_new_password,
    a_password_taken_away_at_the_desk,
    a_second_factor_reset,
    an_account_closed_at_the_desk,
    the_last_role_ended_at_the_desk,
    the_only_chapter_removed,
]

# What Berit holds; each returns a question: does it still let somebody in?

Check = Callable[[], bool]


def a_session(user: User, clock: Any) -> Check:
    browser = Client()
    log_in(browser)
    clock.shift(60)  # the code before is used up
    browser.post("/admin/login/code/", {"code": code_of(KEY)})
    return lambda: is_in(browser)


def a_password_given_and_no_code_yet(user: User, clock: Any) -> Check:
    browser = Client()
    log_in(browser)

    def leads_on() -> bool:
        clock.shift(60)
        browser.post("/admin/login/code/", {"code": code_of(KEY)})
        return is_in(browser)

    return leads_on


def a_token(user: User, clock: Any) -> Check:
    _row, token = issue_token(user)
    return lambda: Client().get("/api/v1/me", headers={"authorization": f"Token {token}"}).status_code == 200


def a_calendars_address(user: User, clock: Any) -> Check:
    address = reverse("calendar_feed", args=[make_feed(user, now=NOW)])
    return lambda: Client().get(address).status_code == 200


def a_link_to_a_new_password(user: User, clock: Any) -> Check:
    address = reverse(
        "password_reset_confirm",
        args=[urlsafe_base64_encode(force_bytes(user.pk)), PasswordLinks().make_token(user)],
    )
    return lambda: Client().get(address).status_code == 302


WAYS_IN = [a_session, a_password_given_and_no_code_yet, a_token, a_calendars_address, a_link_to_a_new_password]


def give_everything_back(user: User, chapter: str) -> None:
    """Open the account again, with a role, the password and the app of before."""
    user.refresh_from_db()
    user.is_active = True
    user.password = make_password(PASSWORD)  # past `set_password`, which would end access by itself
    user.save()
    place, _new = Chapter.objects.get_or_create(
        organisation=Organisation.objects.get(slug="hlf"), slug="oslo", defaults={"name": chapter}
    )
    CoordinatorRole.objects.get_or_create(user=user, organisation=place.organisation, chapter=place)
    if not find_device(user):
        enrol_device(user, key=KEY, code=code_of(KEY))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("way_in", WAYS_IN, ids=lambda way_in: way_in.__name__)
def test_every_event_ends_every_way_in_and_none_comes_back(
    way_in: Callable[[User, Any], Check], event: Callable[[User, Client], None],
    berit: User, paper: list[str], lene: User, clock: Any,
) -> None:  # fmt: skip
    operations = Client()
    operations.force_login(lene)
    lets_in = way_in(berit, clock)
    berit.refresh_from_db()
    if way_in is not a_password_given_and_no_code_yet:  # asking would use it up
        assert lets_in()

    event(berit, operations)
    after_the_event = lets_in()
    clock.shift(60)
    give_everything_back(berit, "Oslo")
    clock.shift(60)

    assert (after_the_event, lets_in()) == (False, False)


def test_another_role_that_is_left_keeps_access(berit: User, bergen: Chapter, browser: Client) -> None:
    CoordinatorRole.objects.create(user=berit, organisation=bergen.organisation, chapter=bergen)
    log_in(browser)

    berit.roles.exclude(chapter=bergen).get().delete()

    assert is_in(browser)


def test_a_superuser_needs_no_role_and_one_no_more_has_nothing(lene: User, browser: Client) -> None:
    browser.force_login(lene)
    assert is_in(browser)

    lene.is_superuser = False
    lene.save()

    assert not is_in(browser)
    assert not Session.objects.filter(user=lene).exists()


def test_an_account_that_was_closed_past_the_desk_has_nothing_left_when_it_is_opened(
    berit: User, browser: Client
) -> None:
    log_in(browser)
    User.objects.filter(pk=berit.pk).update(is_active=False)
    berit.refresh_from_db()
    assert not is_in(browser)

    berit.is_active = True
    berit.save()

    assert not is_in(browser)


def test_another_e_mail_address_ends_nothing_also_for_a_program_that_has_no_password(kari: User) -> None:
    _row, token = issue_token(kari)
    kari.email = "new@example.org"
    kari.save()

    assert Client().get("/api/v1/me", headers={"authorization": f"Token {token}"}).status_code == 200


def test_who_chooses_a_new_password_at_the_desk_stays_there(berit: User, browser: Client) -> None:
    elsewhere = Client()
    for one in (browser, elsewhere):
        log_in(one)

    browser.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})

    assert (is_in(browser), is_in(elsewhere)) == (True, False)


def test_who_removes_the_second_factor_stays_and_other_browsers_do_not(
    berit: User, paper: list[str], browser: Client, clock: Any
) -> None:
    elsewhere = Client()
    for one, code in ((browser, paper[0]), (elsewhere, paper[1])):
        log_in(one)
        one.post("/admin/login/code/", {"code": code})

    browser.post("/admin/second-factor/remove/", {"proof": PASSWORD})

    assert (is_in(browser), is_in(elsewhere)) == (True, False)


def test_no_token_slips_out_beside_the_end(berit: User) -> None:
    """A login that has checked the old password, and only now asks for its token."""
    at_the_door = User.objects.get(pk=berit.pk)
    berit.set_password(NEW)
    berit.save()

    with pytest.raises(AccessEnded):
        issue_token(at_the_door)
    with pytest.raises(AccessEnded):
        make_feed(at_the_door, now=NOW)
    assert not AuthToken.objects.exists()


def test_djangos_own_links_to_a_password_are_worth_nothing(berit: User) -> None:
    token = default_token_generator.make_token(berit)

    assert not PasswordLinks().check_token(berit, token)


class TestNoRole:
    @pytest.fixture
    def nobody(self, berit: User) -> User:
        berit.roles.all().delete()
        berit.refresh_from_db()
        return berit

    def test_the_api_gives_no_token(self, nobody: User) -> None:
        answer = Client().post(
            "/api/v1/auth/login", {"username": "kari", "password": PASSWORD}, content_type="application/json"
        )

        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "no_role")
        assert not AuthToken.objects.exists()

    def test_nor_does_anything_else(self, nobody: User) -> None:
        with pytest.raises(NoRole):
            issue_token(nobody)
        with pytest.raises(NoRole):
            make_feed(nobody, now=NOW)

    @pytest.mark.parametrize(
        "address",
        ["mentors", "certifications", "certification-types", "chapters", "exemptions", "runs", "notifications",
         "certification-cron"],
    )  # fmt: skip
    def test_a_session_that_is_left_all_the_same_reads_nothing(
        self, nobody: User, mentor: Mentor, address: str
    ) -> None:
        """Each list of the API, with a session that nothing has ended."""
        browser = Client()
        browser.force_login(nobody)

        answer = browser.get(f"/api/v1/{address}")

        assert answer.status_code in (200, 403)
        assert not answer.json().get("results")


class TestIdle:
    def test_a_session_without_a_request_is_over(self, berit: User, browser: Client, clock: Any, settings: Any) -> None:
        log_in(browser)

        clock.shift(timedelta(minutes=settings.SESSION_IDLE_MINUTES, seconds=-1))
        still = is_in(browser)
        clock.shift(timedelta(minutes=settings.SESSION_IDLE_MINUTES))

        assert (still, is_in(browser)) == (True, False)
        assert not Session.objects.filter(user=berit).exists()

    def test_who_works_on_stays_until_the_session_has_lasted_its_hours(
        self, berit: User, browser: Client, clock: Any
    ) -> None:
        log_in(browser)
        for _quarter in range(12 * 4 - 1):
            clock.shift(timedelta(minutes=15))
            assert browser.get("/api/v1/me").status_code == 200
        clock.shift(timedelta(minutes=16))

        assert not is_in(browser)

    def test_it_is_written_once_a_minute_and_not_at_every_request(
        self, berit: User, browser: Client, clock: Any, django_assert_num_queries: Any
    ) -> None:
        log_in(browser)
        seen = Session.objects.get(user=berit).seen_at
        clock.shift(59)
        browser.get("/api/v1/me")
        before = Session.objects.get(user=berit).seen_at
        clock.shift(1)
        browser.get("/api/v1/me")

        assert before == seen
        assert Session.objects.get(user=berit).seen_at == seen + timedelta(minutes=1)

    def test_what_is_over_is_removed_at_night(self, berit: User, browser: Client, clock: Any) -> None:
        from cronjobs.tasks import prune

        log_in(browser)
        issue_token(berit)
        prune()
        kept = Session.objects.filter(user=berit).count(), AuthToken.objects.count()
        clock.shift(timedelta(minutes=30))
        prune()
        idle = Session.objects.filter(user=berit).count()
        clock.shift(timedelta(days=31))
        prune()

        assert (kept, idle, AuthToken.objects.count()) == ((1, 1), 0, 0)
        assert timezone.now() > NOW


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        (NewPasswordForm, {"new_password1": NEW, "new_password2": NEW}),
        (OwnPasswordForm, {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}),
        (OthersPasswordForm, {"password1": NEW, "password2": NEW, "usable_password": "true"}),
    ],
)
def test_a_new_password_opens_no_account_that_was_closed_meanwhile(
    berit: User, form: Any, fields: dict[str, str]
) -> None:
    filled = form(User.objects.get(pk=berit.pk), fields)
    assert filled.is_valid(), filled.errors
    User.objects.filter(pk=berit.pk).update(is_active=False, email="new@example.org")

    filled.save()

    berit.refresh_from_db()
    assert (berit.is_active, berit.email, berit.check_password(NEW)) == (False, "new@example.org", True)
