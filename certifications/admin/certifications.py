"""Types, certifications and exemptions. What follows for the mentor follows from what is saved here too."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from certifications.models import Certification, CertificationType, Exemption
from certifications.standing import lock_mentor, resume_renewed
from mentors.desk.scoped import ScopedAdmin, actor_of
from mentors.scope import Duty, Scope


@admin.register(CertificationType)
class CertificationTypeAdmin(ScopedAdmin):
    adding = changing = Duty.LEAD
    list_display = ("name", "code", "organisation", "required", "validity_months", "grace_days")
    list_filter = ("organisation", "required")
    search_fields = ("name", "code")

    def seen(self, scope: Scope) -> Q:
        return scope.types()

    def place_of(self, obj: CertificationType) -> tuple[int | None, int | None]:
        return obj.organisation_id, None


class ConcernsAMentorAdmin(ScopedAdmin):
    """Locks the mentor before the change, and resumes who is covered after it (rule 5)."""

    autocomplete_fields = ("mentor", "type")
    list_select_related = ("mentor", "type")

    def seen(self, scope: Scope) -> Q:
        return scope.mentors("mentor")

    def place_of(self, obj: Any) -> tuple[int | None, int | None]:
        return obj.mentor.organisation_id, obj.mentor.chapter_id

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        mentor = lock_mentor(obj.mentor)
        super().save_model(request, obj, form, change)
        resume_renewed(
            organisation=mentor.organisation, mentor_ids=[mentor.pk], now=timezone.now(), actor=actor_of(request)
        )


@admin.register(Certification)
class CertificationAdmin(ConcernsAMentorAdmin):
    adding = changing = Duty.COORDINATE
    deleting = Duty.LEAD
    list_display = ("mentor", "type", "number", "issued_on", "expires_on", "revoked_at")
    list_filter = ("type", "expires_on")
    search_fields = ("mentor__name", "mentor__ref", "number")
    readonly_fields = ("revoked_at", "revoked_reason")


@admin.register(Exemption)
class ExemptionAdmin(ConcernsAMentorAdmin):
    adding = Duty.LEAD
    list_display = ("mentor", "type", "from_on", "until_on", "approved_by")
    search_fields = ("mentor__name", "mentor__ref")
    exclude = ("approved_by",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.approved_by = request.user
        super().save_model(request, obj, form, change)
