"""Extensions: how many certifications were let expire later at once, by whom and why."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q

from certifications.models import Extension
from mentors.desk.scoped import ReadOnlyAdmin
from mentors.scope import Scope


@admin.register(Extension)
class ExtensionAdmin(ReadOnlyAdmin):
    list_display = ("at", "reason", "by", "undone_at", "undone_by")

    def seen(self, scope: Scope) -> Q:
        return scope.types()
