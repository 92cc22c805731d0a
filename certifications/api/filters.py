"""The filters of a list of certifications; an index serves each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, cast

from django_filters import rest_framework as filters

from certifications.models import Certification, CertificationQuerySet, CertificationType
from certifications.states import State, after, before, in_state
from mentors.rest.filters import AskedFilterSet, IdFilter, TextFilter, YesNoFilter


class CertificationFilter(AskedFilterSet):
    mentor = IdFilter(help_text="The mentor's id.")
    mentor_ref = TextFilter(field_name="mentor__ref", max_length=50, help_text="The organisation's key for the mentor.")
    chapter = IdFilter(field_name="mentor__chapter", help_text="The chapter's id.")
    type = TextFilter(method="of_type", max_length=50, help_text="The type's code.")
    required = YesNoFilter(method="of_required_type")
    state = filters.ChoiceFilter(choices=State.choices, method="in_state")
    expires_before = filters.DateFilter(method="before")
    expires_after = filters.DateFilter(method="after")

    class Meta:
        model = Certification
        fields = ()

    @property
    def types(self) -> Iterable[CertificationType]:
        return cast("Any", self.request).parser_context["view"].types.values()  # type: ignore[no-any-return]

    def of_type(self, queryset: CertificationQuerySet, _name: str, code: str) -> CertificationQuerySet:
        return queryset.filter(type__in=[type.pk for type in self.types if type.code == code])

    def of_required_type(self, queryset: CertificationQuerySet, _name: str, required: bool) -> CertificationQuerySet:
        return queryset.filter(type__in=[type.pk for type in self.types if type.required == required])

    def before(self, queryset: CertificationQuerySet, _name: str, day: date) -> CertificationQuerySet:
        return queryset.filter(before(day))

    def after(self, queryset: CertificationQuerySet, _name: str, day: date) -> CertificationQuerySet:
        return queryset.filter(after(day), expires_on__isnull=False)

    def in_state(self, queryset: CertificationQuerySet, _name: str, state: str) -> CertificationQuerySet:
        now = cast("Any", self.request).parser_context["view"].now
        return queryset.filter(in_state(State(state), types=self.types, now=now))
