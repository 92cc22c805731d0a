"""Logging in and out, and how often one may ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.cache import CacheHandler, cache
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from knox.models import AuthToken
from rest_framework.settings import api_settings
from rest_framework.test import APIClient
from rest_framework.throttling import SimpleRateThrottle

from config.urls import api
from mentors.models import Chapter, User
from mentors.rest.throttles import PerAddress, PerLogin, PerUser, client_address
from tests.conftest import NOW, Api
from tests.support.second_factor import KEY, give_app

pytestmark = pytest.mark.django_db

API = "/api/v1"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def berit(kari: User) -> User:
    """Kari, with a password."""
    kari.set_password(PASSWORD)
    kari.save()
    return kari


def log_in(username: str = "kari", password: str = PASSWORD, code: str = "", **extra: Any) -> Any:
    client = APIClient(headers={"Accept-Language": "en"})
    body = {"username": username, "password": password} | ({"code": code} if code else {})
    return client.post(f"{API}/auth/login", body, **extra)


def with_token(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


class TestLogin:
    def test_it_gives_a_token_that_opens_the_api(self, berit: User) -> None:
        answer = log_in()

        assert answer.status_code == 200
        assert answer.json().keys() == {"token", "expiry"}
        me = with_token(answer.json()["token"]).get(f"{API}/me").json()
        assert (me["username"], me["roles"]) == (
            "kari",
            [
                {
                    "duty": "coordinator",
                    "organisation": "hlf",
                    "organisation_name": "HLF",
                    "chapter": berit.roles.get().chapter_id,
                    "chapter_name": "Oslo",
                }
            ],
        )

    def test_only_its_hash_is_kept(self, berit: User) -> None:
        token = log_in().json()["token"]

        kept = AuthToken.objects.get()

        assert token not in (kept.digest, kept.token_key)

    @pytest.mark.parametrize(("username", "password"), [("kari", "wrong"), ("nobody", PASSWORD), ("KARI", PASSWORD)])
    def test_a_wrong_name_and_a_wrong_password_are_answered_alike(
        self, berit: User, username: str, password: str
    ) -> None:
        answer = log_in(username, password)

        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Token"
        assert answer.json()["errors"] == [
            {"code": "authentication_failed", "detail": "The username or the password is wrong.", "attr": None}
        ]

    def test_somebody_who_left_does_not_come_in(self, berit: User) -> None:
        token = log_in().json()["token"]
        User.objects.update(is_active=False)

        assert log_in().status_code == 401
        assert with_token(token).get(f"{API}/me").status_code == 401

    def test_guessing_locks_the_name_for_that_address_and_not_for_others(self, berit: User) -> None:
        guesses = [log_in(password=f"guess {n}").status_code for n in range(6)]
        right = log_in()
        from_elsewhere = log_in(REMOTE_ADDR="192.0.2.7")

        assert guesses == [401, 401, 401, 401, 429, 429]
        assert (right.status_code, right["Retry-After"]) == (429, "900")
        assert right.json()["errors"][0]["code"] == "throttled"
        assert from_elsewhere.status_code == 200

    def test_the_admins_form_is_locked_too(self, berit: User) -> None:
        for n in range(5):
            answer = Client().post("/admin/login/", {"username": "kari", "password": f"guess {n}"})

        assert (answer.status_code, answer["Retry-After"]) == (429, "900")


class TestSecondFactor:
    """Who has a device gives a code here too; tests/mentors/desk/test_second_factor.py has the rest."""

    @pytest.fixture(autouse=True)
    def app(self, berit: User, clock: time_machine.Traveller) -> time_machine.Traveller:
        """A device, and the time, which stands still: a code holds for half a minute."""
        give_app(berit, key=KEY)
        clock.move_to(NOW, tick=False)
        return clock

    def code(self) -> str:
        return f"{totp(bytes.fromhex(KEY)):06}"  # type: ignore[no-untyped-call]

    def errors(self, answer: Any) -> tuple[int, str]:
        return answer.status_code, answer.json()["errors"][0]["code"]

    def test_with_the_code_there_is_a_token(self) -> None:
        token = log_in(code=self.code()).json()["token"]

        assert with_token(token).get(f"{API}/me").status_code == 200

    def test_without_it_there_is_none(self) -> None:
        assert self.errors(log_in()) == (401, "second_factor_required")
        assert not AuthToken.objects.exists()

    def test_a_wrong_password_does_not_say_that_there_is_a_device(self) -> None:
        assert self.errors(log_in(password="wrong")) == (401, "authentication_failed")

    def test_a_wrong_one_is_refused_and_then_makes_one_wait(self, app: Any) -> None:
        wrong, at_once = log_in(code="000000"), log_in(code=self.code())
        app.shift(30)

        assert self.errors(wrong) == (401, "second_factor_wrong")
        assert (self.errors(at_once), at_once["Retry-After"]) == ((429, "throttled"), "1")
        assert log_in(code=self.code()).status_code == 200

    def test_one_that_was_used_is_wrong(self, app: Any) -> None:
        code = self.code()
        log_in(code=code)

        assert self.errors(log_in(code=code)) == (401, "second_factor_wrong")

    def test_guessing_locks_the_name(self, app: Any) -> None:
        answers = []
        for _guess in range(5):
            answers.append(log_in(code="000000").status_code)
            app.shift(60)

        assert answers == [401, 401, 401, 401, 429]
        assert log_in(code=self.code()).status_code == 429

    def test_who_has_no_device_needs_none(self, berit: User) -> None:
        TOTPDevice.objects.all().delete()

        assert log_in().status_code == 200

    def test_where_one_is_required_who_has_no_device_sets_one_up_first(self, settings: Any) -> None:
        settings.SECOND_FACTOR_REQUIRED = True
        TOTPDevice.objects.all().delete()

        assert self.errors(log_in()) == (401, "second_factor_missing")
        assert self.errors(log_in(code=self.code())) == (401, "second_factor_missing")
        assert self.errors(log_in(password="wrong")) == (401, "authentication_failed")
        assert not AuthToken.objects.exists()


class TestLogout:
    def test_it_ends_this_device(self, berit: User) -> None:
        here, there = (with_token(log_in().json()["token"]) for _ in range(2))

        assert here.post(f"{API}/auth/logout").status_code == 204

        assert (here.get(f"{API}/me").status_code, there.get(f"{API}/me").status_code) == (401, 200)

    def test_logout_all_ends_every_device_of_the_user_and_no_other(self, berit: User, olav: User) -> None:
        here, there = (with_token(log_in().json()["token"]) for _ in range(2))
        other = with_token(AuthToken.objects.create(olav)[1])

        assert here.post(f"{API}/auth/logout-all").status_code == 204

        assert [client.get(f"{API}/me").status_code for client in (here, there, other)] == [401, 401, 200]

    def test_an_expired_token_is_401(self, kari: User) -> None:
        expired = AuthToken.objects.create(kari, expiry=timedelta(seconds=-1))[1]

        answer = with_token(expired).get(f"{API}/me")

        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Token")

    @pytest.mark.parametrize("header", ["Token", "Token x y", "Token x", "Bearer x", "\xff", "Token \xff"])
    def test_a_broken_header_is_401(self, header: str) -> None:
        assert APIClient().get(f"{API}/me", HTTP_AUTHORIZATION=header).status_code == 401


class TestSession:
    def test_a_session_works_and_must_prove_where_a_change_comes_from(self, kari: User) -> None:
        client = APIClient(enforce_csrf_checks=True)
        client.force_login(kari)

        assert client.get(f"{API}/me").status_code == 200
        assert client.post(f"{API}/auth/logout-all").status_code == 403

    def test_the_documentation_is_a_page_that_needs_no_other_server(self) -> None:
        page = Client().get(f"{API}/docs").content.decode()

        assert "swagger-ui" in page
        assert "https://" not in page.replace("https://spec.openapis.org", "")


class TestThrottles:
    @pytest.fixture(autouse=True)
    def _rates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rates = {"user": "3/minute", "anon": "2/minute", "login": "2/minute"}
        monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", rates)
        cache.clear()  # it lives in Redis, and remembers who has asked in an earlier test

    def test_each_user_has_its_own_measure(self, api: Api, kari: User, olav: User) -> None:
        answers = [api(kari).get(f"{API}/me") for _ in range(4)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 0 < int(answers[-1]["Retry-After"]) <= 60
        assert answers[-1].json()["errors"][0]["code"] == "throttled"
        assert api(olav).get(f"{API}/me").status_code == 200

    def test_an_address_without_a_token_has_one_too(self, oslo: Chapter) -> None:
        answers = [APIClient().get(f"{API}/public/hlf/chapters/oslo/mentors").status_code for _ in range(3)]

        assert answers == [200, 200, 429]

    def test_logins_are_counted_by_address(self, berit: User) -> None:
        assert [log_in().status_code for _ in range(3)] == [200, 200, 429]

    def test_the_api_goes_on_when_redis_is_away(self, api: Api, kari: User, monkeypatch: pytest.MonkeyPatch) -> None:
        nowhere = {"default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}
        monkeypatch.setattr(SimpleRateThrottle, "cache", CacheHandler(nowhere)["default"])

        assert [api(kari).get(f"{API}/me").status_code for _ in range(5)] == [200] * 5

    def test_a_forwarded_address_counts_only_as_far_as_proxies_are_trusted(
        self, rf: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = rf.get("/", HTTP_X_FORWARDED_FOR="203.0.113.9, 198.51.100.1", REMOTE_ADDR="10.0.0.1")

        by_proxies = {}
        for proxies in (0, 1, 2):
            monkeypatch.setattr(api_settings, "NUM_PROXIES", proxies)
            by_proxies[proxies] = client_address(request)

        assert by_proxies == {0: "10.0.0.1", 1: "198.51.100.1", 2: "203.0.113.9"}

    def test_every_view_is_throttled(self) -> None:
        unless_told_otherwise = {PerUser, PerAddress}
        otherwise = {"LoginView": {PerLogin}, "PublicMentorViewSet": {PerAddress}, "SchemaView": {PerAddress}}

        callbacks: list[Any] = [pattern.callback for pattern in api]
        views = {callback.cls for callback in callbacks if hasattr(callback, "cls")}

        assert len(views) > 15
        for view in views:
            assert set(view.throttle_classes) == otherwise.get(view.__name__, unless_told_otherwise)
