"""The picture of the data model shows the models as they are."""

from __future__ import annotations

from tests.support.data_model import PICTURE, draw


def test_the_picture_is_current() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "Run make data-model."
