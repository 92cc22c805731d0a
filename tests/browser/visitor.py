"""Somebody at a browser, and everything that went wrong in it: a test in which something did is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import django_otp
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
)

from mentors.accounts.second_factor import find_device
from mentors.accounts.sessions import SessionStore
from mentors.models import User
from tests.support.second_factor import give_app

PATIENCE = 120_000  # milliseconds
# What it says when the page went elsewhere before a file had come.
GONE = "net::ERR_ABORTED"


class Visitor:
    """One person at one browser: cookies of their own, one page, and what went wrong."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.troubles: list[str] = []
        self._expected: tuple[int, ...] = ()
        context.set_default_timeout(PATIENCE)
        context.on("console", self._note_message)
        context.on("weberror", self._note_error)
        context.on("requestfailed", self._note_failure)
        context.on("response", self._note_status)
        self.page: Page = context.new_page()

    def open(self, path: str) -> Page:
        """Go to an address of the service."""
        self.page.goto(self.url + path)
        return self.page

    def be(self, user: User) -> None:
        """Be logged in as the user, as if the password and the code had been typed in."""
        device = find_device(user) or give_app(user)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session[django_otp.DEVICE_ID_SESSION_KEY] = device.persistent_id
        session.save()
        self.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": str(session.session_key), "url": self.url}]
        )

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Take these answers of the service for right while the block lasts."""
        self._expected = statuses
        yield
        self._expected = ()

    def refresh(self, size: tuple[int, int]) -> None:
        """Forget what went wrong before, and how the window was changed."""
        self.troubles.clear()
        self.page.emulate_media(color_scheme="null", reduced_motion="null")
        self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def leave(self) -> None:
        """Close the browser's window."""
        self.context.close()

    def _note_message(self, message: ConsoleMessage) -> None:
        is_expected = any(f"status of {status}" in message.text for status in self._expected)
        if message.type == "error" and not is_expected:
            self.troubles.append(f"console: {message.text}")

    def _note_error(self, error: WebError) -> None:
        self.troubles.append(f"error in the page: {error.error}")

    def _note_failure(self, request: Request) -> None:
        if request.failure != GONE:
            self.troubles.append(f"{request.method} {request.url}: {request.failure}")

    def _note_status(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected:
            self.troubles.append(f"{response.request.method} {response.url}: {response.status}")
