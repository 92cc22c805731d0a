"""Enrolling mentors, and changing what is written about them. A status has its own room: status.py."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from mentors.conflicts import ConflictError
from mentors.models import Chapter, Mentor


class RefTaken(ConflictError):
    """A ref is unique in its organisation."""

    code = "ref_taken"
    message = _("The organisation has a mentor of this ref already: change that one, or write another ref.")


@transaction.atomic
def enrol_mentor(
    *,
    chapter: Chapter,
    ref: str,
    name: str,
    email: str = "",
    phone: str = "",
    language: str | None = None,
    listed: bool = True,
    searchable: bool = False,
) -> Mentor:
    """Enrol a mentor in a chapter and so in its organisation, whose language they get unless another is given.

    Raises ValidationError, and RefTaken with the id of the mentor who has the ref.
    """
    mentor = Mentor(organisation=chapter.organisation)
    details = {"ref": ref, "name": name, "email": email, "phone": phone, "listed": listed, "searchable": searchable}
    _write(mentor, chapter=chapter, language=language or chapter.organisation.language, **details)
    return mentor


@transaction.atomic
def change_mentor(mentor: Mentor, **changes: Any) -> None:
    """Change what is written about a mentor: the fields of `enrol_mentor`.

    Raises ValidationError, also for a chapter of another organisation, and RefTaken.
    """
    _write(Mentor.objects.locked().get(pk=mentor.pk), **changes)


def _write(mentor: Mentor, **fields: Any) -> None:
    for field, value in fields.items():
        setattr(mentor, field, _normalise(field, value))
    mentor.full_clean(validate_unique=False, validate_constraints=False)
    try:
        with transaction.atomic():
            mentor.save(update_fields=[*fields, "updated_at"] if mentor.pk else None)
    except IntegrityError:
        same = Mentor.objects.of(mentor.organisation).filter(ref=mentor.ref).exclude(pk=mentor.pk)
        if other := same.values_list("pk", flat=True).first():
            raise RefTaken(id=other) from None
        raise


def _normalise(field: str, value: Any) -> Any:
    """Write text as a roster's import does, so that the next import finds nothing to change."""
    if not isinstance(value, str):
        return value
    text = unicodedata.normalize("NFC", value)
    return text.lower() if field == "email" else text
