"""The desk for certifications. What follows for the mentor follows from what is saved here too."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from certifications.models import Certification, CertificationType, Exemption
from certifications.standing import lock_mentor, resume_renewed
from mentors.models import User


@admin.register(CertificationType)
class CertificationTypeAdmin(admin.ModelAdmin[CertificationType]):
    list_display = ("name", "code", "organisation", "required", "validity_months", "grace_days")
    list_filter = ("organisation", "required")
    search_fields = ("name", "code")


class ConcernsAMentorAdmin(admin.ModelAdmin[Any]):
    """Locks the mentor before the change, and resumes who is covered after it (rule 5)."""

    autocomplete_fields = ("mentor", "type")
    list_select_related = ("mentor", "type")

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        mentor = lock_mentor(obj.mentor)
        super().save_model(request, obj, form, change)
        actor = cast("User", request.user)  # the admin lets nobody else in
        resume_renewed(organisation=mentor.organisation, mentor_ids=[mentor.pk], now=timezone.now(), actor=actor)


@admin.register(Certification)
class CertificationAdmin(ConcernsAMentorAdmin):
    list_display = ("mentor", "type", "number", "issued_on", "expires_on", "revoked_at")
    list_filter = ("type", "expires_on")
    search_fields = ("mentor__name", "mentor__ref", "number")
    readonly_fields = ("revoked_at", "revoked_reason")


@admin.register(Exemption)
class ExemptionAdmin(ConcernsAMentorAdmin):
    list_display = ("mentor", "type", "from_on", "until_on", "approved_by")
    search_fields = ("mentor__name", "mentor__ref")
    exclude = ("approved_by",)

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        obj.approved_by = request.user
        super().save_model(request, obj, form, change)
