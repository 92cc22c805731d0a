"""Mentors: enrolling and changing them, pausing, resuming and ending, and their timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from certifications.coverage import find_gaps
from certifications.mentor_status import end_mentor, lock_mentor, pause_mentor, reactivate_mentor
from certifications.models import REASONABLE
from mentors.accounts.scope import Permission, Scope
from mentors.api.timeline import TimelineEntrySerializer, entry, timeline_of
from mentors.enrolment import RefTaken, change_mentor, enrol_mentor
from mentors.models import LANGUAGES, Chapter, Mentor, User
from mentors.rest.filters import AskedFilterSet, IdFilter, Ordering, TextFilter, WordSearch, YesNoFilter
from mentors.rest.openapi import examples
from mentors.rest.pagination import NarrowPages
from mentors.rest.serializers import InScope, Reason, StrictSerializer, as_json, represent
from mentors.rest.versions import etag
from mentors.rest.views import ScopedViewSet

PHONE = r"^\+[1-9][0-9]{6,14}$"
EXAMPLE = {
    "id": 5,
    "organisation": "hlf",
    "chapter": 2,
    "chapter_name": "Oslo",
    "ref": "M-0012",
    "name": "Liv Moe",
    "email": "liv@example.org",
    "phone": "+4790000012",
    "language": "nb",
    "status": "paused",
    "pause_cause": "certification_expired",
    "pause_reason": "Lapsed: likepersonkurs",
    "listed": True,
    "searchable": False,
    "lapsed_types": ["likepersonkurs"],
    "missing_types": ["taushetserklaering"],
    "created_at": "2024-12-02T09:14:00Z",
    "updated_at": "2026-11-21T23:30:04Z",
}


@examples({"Paused by the night": EXAMPLE})
class MentorSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    organisation = serializers.CharField(source="organisation.slug", help_text="The organisation's slug.")
    chapter = serializers.IntegerField(source="chapter_id")
    chapter_name = serializers.CharField(source="chapter.name")
    ref = serializers.CharField(help_text="The organisation's own key for the mentor.")
    name = serializers.CharField()
    email = serializers.CharField(allow_blank=True)
    phone = serializers.CharField(allow_blank=True)
    language = serializers.ChoiceField(LANGUAGES)
    status = serializers.ChoiceField(Mentor.Status.choices)
    pause_cause = serializers.ChoiceField(Mentor.PauseCause.choices, allow_null=True)
    pause_reason = serializers.CharField(allow_blank=True)
    listed = serializers.BooleanField(help_text="Consents to stand on the public page.")
    searchable = serializers.BooleanField(help_text="Consents to be found there by search engines.")
    lapsed_types = serializers.ListField(
        child=serializers.CharField(), help_text="The codes of required types that have lapsed as of today (rule 3)."
    )
    missing_types = serializers.ListField(
        child=serializers.CharField(), help_text="The codes of required types never held; they pause nobody."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def _chapters_to_look_after(scope: Scope | None) -> QuerySet[Chapter]:
    chapters = Chapter.objects.select_related("organisation")
    return chapters.filter(scope.own_chapters()) if scope else chapters.none()


@examples({"With what is needed": {"chapter": 2, "ref": "M-0012", "name": "Liv Moe"}})
class EnrolSerializer(StrictSerializer):
    """Who is enrolled, and where."""

    chapter = InScope(_chapters_to_look_after)
    ref = serializers.CharField(max_length=50, help_text="The organisation's own key for the mentor.")
    name = serializers.CharField(max_length=200)
    email = serializers.EmailField(max_length=254, allow_blank=True, required=False)
    phone = serializers.RegexField(PHONE, max_length=16, allow_blank=True, required=False, help_text="As E.164 has it.")
    language = serializers.ChoiceField(LANGUAGES, required=False, help_text="Left out: the organisation's.")
    listed = serializers.BooleanField(required=False, help_text="Consents to stand on the public page. Left out: yes.")
    searchable = serializers.BooleanField(
        required=False, help_text="Consents to be found there by search engines. Left out: no."
    )


@examples({"A new address": {name: value for name, value in EXAMPLE.items() if name in EnrolSerializer().fields}})
class ChangeMentorSerializer(EnrolSerializer):
    """All that is written about a mentor."""

    moving = frozenset(["lapsed_types", "missing_types"])

    email = serializers.EmailField(max_length=254, allow_blank=True)
    phone = serializers.RegexField(PHONE, max_length=16, allow_blank=True, help_text="As E.164 has it.")
    language = serializers.ChoiceField(LANGUAGES)
    listed = serializers.BooleanField(help_text="Consents to stand on the public page.")
    # Came later than the others: an app that does not know it changes nobody's consent.
    searchable = serializers.BooleanField(
        required=False, help_text="Consents to be found there by search engines. Left out: as it is."
    )


@examples(
    {
        "Nothing has lapsed": {"reason": "Back from leave."},
        "With an exemption": {"exempt_until": "2026-12-31", "reason": "The course was cancelled."},
    }
)
class ResumeSerializer(StrictSerializer):
    """Why a mentor is resumed, and with which exemption."""

    exempt_until = serializers.DateField(
        required=False, validators=REASONABLE, help_text="Exempts from every lapsed type through this day (rule 10)."
    )
    reason = serializers.CharField(max_length=1000, allow_blank=True, default="", help_text="An exemption needs one.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "exempt_until" in attrs and not attrs["reason"]:
            raise serializers.ValidationError(
                {"reason": serializers.ErrorDetail(_("An exemption needs a reason."), code="required")}
            )
        return attrs


Rows = list[dict[str, Any]]


class MentorFilter(AskedFilterSet):
    chapter = IdFilter(help_text="The chapter's id.")
    status = filters.ChoiceFilter(choices=Mentor.Status.choices)
    pause_cause = filters.ChoiceFilter(choices=Mentor.PauseCause.choices)
    listed = YesNoFilter()
    ref = TextFilter(max_length=50, help_text="The organisation's own key for the mentor.")

    class Meta:
        model = Mentor
        fields = ()


class MentorViewSet(ScopedViewSet):
    """Whom the watch is about."""

    queryset = Mentor.objects.all()
    serializer_class = MentorSerializer
    filter_backends = (filters.DjangoFilterBackend, WordSearch, Ordering)
    filterset_class = MentorFilter
    ordering_fields = {"name": ("name", "id"), "ref": ("ref", "id"), "id": ("id",)}
    pagination_class = NarrowPages
    search_description = "The beginnings of words of the name, or of the ref."
    is_versioned = True

    def get_queryset(self) -> QuerySet[Mentor]:
        return Mentor.objects.filter(self.scope.mentors())

    def get_object(self) -> Mentor:
        return cast("Mentor", super().get_object())

    def scope_ids(self, obj: Mentor) -> tuple[int, int | None]:
        return obj.organisation_id, obj.chapter_id

    def lock(self, obj: Mentor) -> None:
        lock_mentor(obj)

    @property
    def user(self) -> User:
        return cast("User", self.request.user)

    def list(self, request: Request) -> Response:
        """List them by name."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()).values_list("pk", flat=True))
        return self.get_paginated_response(self.represent(page or []))

    def retrieve(self, request: Request, **_kwargs: Any) -> Response:
        """Show one."""
        return self.respond(self.get_object())

    @extend_schema(request=EnrolSerializer, responses={201: MentorSerializer})
    def create(self, request: Request) -> Response:
        """Enrol one in a chapter."""
        body = self.read_body(EnrolSerializer)
        with self.making() as refuse_unless_theirs, self.hiding_others():
            mentor = enrol_mentor(**body)
            refuse_unless_theirs(mentor)
        return self.respond(mentor, status.HTTP_201_CREATED)

    @extend_schema(request=ChangeMentorSerializer)
    def update(self, request: Request, **_kwargs: Any) -> Response:
        """Change what is written about a mentor; a status changes by what is done or recorded."""
        with self.changing() as mentor, self.hiding_others():
            [current] = self.represent([mentor.pk])
            change_mentor(mentor, **self.read_body(ChangeMentorSerializer, current=as_json(current)))
        return self.respond(mentor)

    @extend_schema(request=ChangeMentorSerializer)
    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change some of what is written about a mentor."""
        return self.update(request, **kwargs)

    @extend_schema(request=Reason)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, **_kwargs: Any) -> Response:
        """Pause a mentor, also one whom the night has paused. The night leaves it so, until a person resumes."""
        with self.changing() as mentor:
            pause_mentor(mentor, **self.read_body(Reason), actor=self.user, now=self.now)
        return self.respond(mentor)

    @extend_schema(request=ResumeSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, **_kwargs: Any) -> Response:
        """Resume a paused mentor: 409 while a type has lapsed, unless exempted, which only the organisation may do."""
        with self.changing() as mentor:
            body = self.read_body(ResumeSerializer)
            if "exempt_until" in body and not self.scope.may(Permission.LEAD, organisation_id=mentor.organisation_id):
                raise PermissionDenied(_("Only an organisation-wide coordinator may exempt."))
            reactivate_mentor(mentor, **body, actor=self.user, now=self.now)
        return self.respond(mentor)

    @extend_schema(request=Reason)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, **_kwargs: Any) -> Response:
        """End a mentor's service: the night reminds and pauses no more."""
        with self.changing() as mentor:
            end_mentor(mentor, **self.read_body(Reason), actor=self.user, now=self.now)
        return self.respond(mentor)

    @extend_schema(responses=TimelineEntrySerializer(many=True))
    @action(detail=True, is_list=True, filter_backends=())
    def timeline(self, request: Request, **_kwargs: Any) -> Response:
        """Tell what happened to a mentor, newest first, with the rule that decided: why this, or why not?"""
        page = self.paginate_queryset(timeline_of(self.get_object()))
        return self.get_paginated_response([entry(row) for row in page or []])

    @contextmanager
    def hiding_others(self) -> Iterator[None]:
        """Let a RefTaken name only a mentor whom the user sees: a ref is unique across chapters."""
        try:
            yield
        except RefTaken as taken:
            if self.get_queryset().filter(pk=cast("int", taken.id)).exists():
                raise
            raise RefTaken from None

    def respond(self, mentor: Mentor, status: int = 200) -> Response:
        [row] = self.represent([mentor.pk])
        return Response(row, status=status, headers={"ETag": etag(row["id"], row["updated_at"])})

    def represent(self, ids: Sequence[int]) -> Rows:
        """Return the representation of each, in this order, with two queries."""
        mentors = Mentor.objects.select_related("organisation", "chapter").in_bulk(ids)
        gaps = find_gaps({id: mentor.organisation.local_date(self.now) for id, mentor in mentors.items()})
        return [
            represent(MentorSerializer, mentors[id], lapsed_types=gaps[id].lapsed, missing_types=gaps[id].missing)
            for id in ids
            if id in mentors
        ]
