"""The security trail: each thing that happens to an account, by each door, and what is never in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.test import Client, RequestFactory
from django.urls import reverse
from knox.models import AuthToken

from certifications.ical import make_feed, revoke_feed
from cronjobs.tasks import prune
from mentors.accounts.access import clear_expired, issue_token
from mentors.accounts.second_factor import enrol_device, replace_backup_codes
from mentors.accounts.security_trail import Kind, record_event
from mentors.models import Chapter, CoordinatorRole, SecurityEvent, Session, User
from tests.conftest import NOW
from tests.support.second_factor import DEVICE, KEY, PASSWORD, code_of, key_on, log_in

pytestmark = pytest.mark.django_db

NEW = "a long and new password"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
FROM: Any = {"REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": FIREFOX}
SEEN = ("kind", "door", "user__username", "actor__username", "address", "device")


@pytest.fixture
def browser() -> Client:
    return Client(**FROM)


@pytest.fixture
def lene(db: None) -> User:
    """A superuser, who changes other accounts."""
    return User.objects.create_superuser("lene", password=PASSWORD)


@pytest.fixture
def operations(lene: User) -> Client:
    client = Client(**FROM)
    client.force_login(lene)
    return client


@pytest.fixture
def trail(berit: User) -> Callable[[], list[Any]]:
    """What has been recorded since the test began, the oldest first."""
    known = set(SecurityEvent.objects.values_list("pk", flat=True))
    return lambda: list(SecurityEvent.objects.exclude(pk__in=known).order_by("pk").values_list(*SEEN))


Trail = Callable[[], list[Any]]


def api_login(client: Client, password: str = PASSWORD, **more: str) -> Any:
    body = {"username": "kari", "password": password, **more}
    return client.post("/api/v1/auth/login", body, content_type="application/json")


def change_account(operations: Client, user: User, **changes: Any) -> None:
    page = reverse("admin:mentors_user_change", args=[user.pk])
    form = operations.get(page).context["adminform"].form
    fields = {name: form[name].value() or "" for name in form.fields if name != "password"} | changes
    inline = {"preference-TOTAL_FORMS": 0, "preference-INITIAL_FORMS": 0}
    answer = operations.post(page, {k: v for k, v in fields.items() if v is not False} | inline)
    assert answer.status_code == 302


def own(kind: str, door: str = "desk") -> tuple[Any, ...]:
    """What is recorded of what Berit does herself."""
    return (kind, door, "kari", None, "192.0.2.7", "Firefox, Windows")


class TestComingIn:
    def test_by_the_desk(self, browser: Client, trail: Trail) -> None:
        log_in(browser)
        browser.post("/admin/logout/")
        log_in(browser)

        assert trail() == [own("new_device"), own("logout"), own("login")]

    def test_by_the_desk_with_a_code(self, browser: Client, paper: list[str], trail: Trail) -> None:
        log_in(browser)
        assert trail() == []

        browser.post("/admin/login/code/", {"code": paper[0]})

        assert trail() == [own("new_device")]

    def test_by_the_api_it_is_a_token(self, browser: Client, trail: Trail) -> None:
        token = api_login(browser).json()["token"]
        browser.post("/api/v1/auth/logout", headers={"authorization": f"Token {token}"})

        assert trail() == [own("token_issued", "api"), own("token_revoked", "api")]
        for kept in SecurityEvent.objects.filter(kind__startswith="token").values_list("token", flat=True):
            assert token.startswith(kept)
            assert len(kept) < len(token) / 2

    def test_by_a_command(self, berit: User, trail: Trail) -> None:
        call_command("issue_token", "kari", "--format=json")

        assert trail() == [("token_issued", "command", "kari", None, None, "")]

    def test_all_tokens_are_revoked_each(self, berit: User, browser: Client, trail: Trail) -> None:
        _row, token = issue_token(berit)
        issue_token(berit)

        browser.post("/api/v1/auth/logout-all", headers={"authorization": f"Token {token}"})

        assert trail()[2:] == [own("token_revoked", "api")] * 2

    def test_a_token_that_has_expired_is_not_revoked(self, berit: User, trail: Trail) -> None:
        issue_token(berit)
        clear_expired(now=NOW + timedelta(days=31))

        assert AuthToken.objects.count() == 0

    def test_who_changes_the_password_is_still_in_a_known_browser(self, browser: Client, trail: Trail) -> None:
        log_in(browser)
        browser.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})
        browser.post("/admin/logout/")
        browser.post("/admin/login/", {"username": "kari", "password": NEW})

        assert [event[0] for event in trail()] == ["new_device", "password_changed", "logout", "login"]


class TestFailing:
    def test_by_the_desk(self, browser: Client, trail: Trail) -> None:
        browser.post("/admin/login/", {"username": "kari", "password": "wrong"})

        assert trail() == [own("login_failed")]

    def test_by_the_api(self, browser: Client, trail: Trail) -> None:
        api_login(browser, password="wrong")

        assert trail() == [own("login_failed", "api")]

    def test_with_a_wrong_code_at_both_doors(self, browser: Client, paper: list[str], trail: Trail) -> None:
        log_in(browser)
        browser.post("/admin/login/code/", {"code": "123456"})
        api_login(browser, code="abcdefgh")

        assert trail() == [own("login_failed"), own("login_failed", "api")]

    def test_what_is_locked_is_recorded_once_a_minute(self, browser: Client, clock: Any, trail: Trail) -> None:
        for _attempt in range(8):
            browser.post("/admin/login/", {"username": "kari", "password": "wrong"})
        clock.shift(61)
        log_in(browser)

        assert [event[0] for event in trail()] == ["login_failed"] * 5 + ["login_locked"] * 2

    def test_a_locked_code_too(self, browser: Client, paper: list[str], trail: Trail) -> None:
        log_in(browser)
        for _attempt in range(5):
            browser.post("/admin/login/", {"username": "kari", "password": "wrong"})
        browser.post("/admin/login/code/", {"code": paper[0]})

        assert trail()[-1] == own("login_locked")

    def test_what_was_typed_as_a_name_that_nobody_has_is_not_kept(self, browser: Client, trail: Trail) -> None:
        for secret in ("hunter2 is my password", "and another"):
            browser.post("/admin/login/", {"username": secret, "password": "x"})

        assert trail() == [("login_failed", "desk", None, None, "192.0.2.7", "Firefox, Windows")]

    def test_an_address_that_is_none_is_not_kept(self, berit: User, rf: RequestFactory, trail: Trail) -> None:
        record_event(Kind.LOGIN, user=berit, request=rf.get("/admin/", REMOTE_ADDR="203.0.113.9:4711, evil"))

        assert trail() == [("login", "desk", "kari", None, None, "")]


class TestWhatIsOnesOwn:
    def test_a_password_at_the_desk(self, browser: Client, trail: Trail) -> None:
        log_in(browser)
        browser.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})

        assert trail()[1:] == [own("password_changed")]

    def test_a_link_to_a_new_one(self, browser: Client, trail: Trail) -> None:
        for address in ("kari@example.org", "nobody@example.org"):
            browser.post("/admin/password/", {"email": address})

        nobodys = ("password_link_asked", "desk", None, None, "192.0.2.7", "Firefox, Windows")
        assert trail() == [own("password_link_asked"), nobodys]

    def test_a_second_factor(self, berit: User, browser: Client, clock: Any, trail: Trail) -> None:
        log_in(browser)
        key = key_on(browser.get(DEVICE).content.decode())
        browser.post(DEVICE, {"code": code_of(key), "proof": PASSWORD})
        browser.post("/admin/second-factor/codes/", {"proof": PASSWORD})
        browser.post("/admin/second-factor/remove/", {"proof": PASSWORD})

        assert trail()[1:] == [own("factor_enrolled"), own("codes_made"), own("factor_removed")]

    def test_what_lets_in(self, berit: User, browser: Client, trail: Trail) -> None:
        log_in(browser)
        log_in(Client(**FROM))
        row, _token = issue_token(berit)
        other = Session.objects.exclude(pk=browser.session.session_key).get(user=berit)
        for body in ({"session": other.reference}, {"token": row.token_key}, {"everything": "1"}):
            browser.post("/admin/access/end/", body)

        assert trail()[3:] == [own("session_ended"), own("token_revoked"), own("access_ended")]

    def test_the_calendar(self, berit: User, trail: Trail) -> None:
        make_feed(berit, now=NOW)
        revoke_feed(berit)

        assert [event[0] for event in trail()] == ["calendar_made", "calendar_revoked"]


class TestWhatOthersDo:
    def test_the_account_at_the_desk(self, berit: User, operations: Client, trail: Trail) -> None:
        change_account(operations, berit, email="new@example.org")
        change_account(operations, berit, is_superuser=True)
        change_account(operations, berit, is_superuser=False)
        change_account(operations, berit, is_active=False)
        change_account(operations, berit, is_active=True)
        operations.post(
            f"/admin/mentors/user/{berit.pk}/password/", {"usable_password": "false", "unset-password": "1"}
        )

        assert [event[0] for event in trail()] == [
            "email_changed", "operations_given", "operations_ended", "account_closed", "account_opened",
            "password_removed",
        ]  # fmt: skip
        assert {event[1:4] for event in trail()} == {("desk", "kari", "lene")}

    def test_the_second_factor(self, berit: User, paper: list[str], operations: Client, trail: Trail) -> None:
        operations.post(f"/admin/mentors/user/{berit.pk}/reset-second-factor/", {})
        operations.post(reverse("admin:mentors_user_reset_second_factor", args=[berit.pk]), {})
        enrol_device(berit, key=KEY, code=code_of(KEY))
        call_command("reset_second_factor", "kari")

        resets = [event[1:4] for event in trail() if event[0] == "factor_reset"]
        assert resets == [("desk", "kari", "lene"), ("command", "kari", None)]

    def test_roles(self, berit: User, bergen: Chapter, operations: Client, trail: Trail) -> None:
        fields = {"user": berit.pk, "organisation": bergen.organisation_id, "duty": "coordinator", "chapter": bergen.pk}
        operations.post("/admin/mentors/coordinatorrole/add/", fields)
        role = berit.roles.get(chapter=bergen)
        operations.post(f"/admin/mentors/coordinatorrole/{role.pk}/change/", {"duty": "coordinator", "chapter": ""})
        operations.post(f"/admin/mentors/coordinatorrole/{role.pk}/delete/", {"post": "yes"})

        assert [event[:4] for event in trail()] == [
            (kind, "desk", "kari", "lene") for kind in ("role_given", "role_changed", "role_ended")
        ]

    def test_a_role_that_ends_with_its_chapter(self, berit: User, oslo: Chapter, trail: Trail) -> None:
        oslo.delete()

        assert [event[0] for event in trail()] == ["role_ended"]
        assert SecurityEvent.objects.latest("pk").facts == {"duty": "coordinator", "chapter": "Oslo"}

    def test_an_account_that_is_removed_leaves_its_trail(
        self, berit: User, olav: User, desk: Any, trail: Trail
    ) -> None:
        issue_token(berit)
        berit.delete()

        assert [event[0] for event in trail()] == ["token_issued", "account_removed", "token_revoked"]
        assert "removed account" in desk(olav).get("/admin/mentors/securityevent/?all=").content.decode()

    def test_a_new_account_has_changed_nothing(self, trail: Trail) -> None:
        User.objects.create_user("ny", password=PASSWORD)

        assert trail() == []


class TestWhatItNeverHas:
    def test_no_secret_is_in_any_column(self, berit: User, browser: Client, clock: Any, trail: Trail) -> None:
        _device, codes = enrol_device(berit, key=KEY, code=code_of(KEY))
        clock.shift(60)
        typed = "typed where the name goes"
        browser.post("/admin/login/", {"username": typed, "password": "typed as a password"})
        token = api_login(browser, code=codes[0]).json()["token"]
        feed = make_feed(berit, now=NOW)
        more = replace_backup_codes(berit)

        rows = str(list(SecurityEvent.objects.values()))
        for secret in (typed, "typed as a password", PASSWORD, KEY, token, token[15:], feed, *codes, *more):
            assert secret not in rows

    def test_nobody_changes_or_removes_an_event(self, berit: User, browser: Client) -> None:
        log_in(browser)
        for act in (lambda: SecurityEvent.objects.update(kind="login"), lambda: SecurityEvent.objects.all().delete()):
            with pytest.raises(DatabaseError, match="Cannot update or delete"), transaction.atomic():
                act()


class TestKeeping:
    def test_it_is_removed_after_its_days_and_no_earlier(
        self, berit: User, browser: Client, clock: Any, settings: Any
    ) -> None:
        log_in(browser)
        at = SecurityEvent.objects.latest("pk").at
        clock.move_to(at + timedelta(days=settings.SECURITY_DAYS), tick=False)
        prune()
        assert SecurityEvent.objects.filter(kind="new_device").exists()

        clock.shift(1)
        prune()

        assert not SecurityEvent.objects.exists()

    def test_the_command_says_how_many(self, berit: User, clock: Any, capsys: Any, settings: Any) -> None:
        there = SecurityEvent.objects.count()
        clock.shift(timedelta(days=settings.SECURITY_DAYS, seconds=1))
        call_command("prune_records", "--dry-run")
        call_command("prune_records")

        said = capsys.readouterr().out
        assert f"{there} security events would be removed" in said
        assert f"{there} security events removed" in said
        assert not SecurityEvent.objects.exists()


def test_an_event_is_written_with_what_it_tells_or_not_at_all(berit: User, trail: Trail) -> None:
    with transaction.atomic():
        issue_token(berit)
        CoordinatorRole.objects.all().delete()
        transaction.set_rollback(True)

    assert trail() == []
