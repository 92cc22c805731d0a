"""What tests of the API say again and again."""

from __future__ import annotations

from typing import Any

from knox.models import AuthToken
from rest_framework.test import APIClient

from mentors.models import User


def by_token(user: User) -> APIClient:
    """Return a client that sends a token, whose look-up is part of what a request costs."""
    return APIClient(headers={"Authorization": f"Token {AuthToken.objects.create(user)[1]}"})


def faults(answer: Any) -> tuple[int, list[tuple[str, str]]]:
    """Return the status of a refusal, and of each error what it is about and its code."""
    return answer.status_code, [(error["attr"], error["code"]) for error in answer.json()["errors"]]
