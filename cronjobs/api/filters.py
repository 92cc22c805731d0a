"""The filters of the lists of schedules, runs and items."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from cronjobs.api.serializers import ITEM_STATUSES
from cronjobs.models import Action, CronJob, Run, RunItem
from mentors.models import Organisation
from mentors.rest.filters import AskedFilterSet, IdFilter, TextFilter, YesNoFilter


class OrganisationFilter(TextFilter):
    """By the organisation's slug. No join: so the rows come out of the organisation's index in their order."""

    def __init__(self) -> None:
        super().__init__(field_name="organisation", max_length=50, help_text="The organisation's slug.")

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return qs.filter(organisation=Organisation.objects.filter(slug=value).values("pk")[:1]) if value else qs


class CronJobFilter(AskedFilterSet):
    organisation = OrganisationFilter()
    enabled = YesNoFilter()

    class Meta:
        model = CronJob
        fields = ()


class RunFilter(AskedFilterSet):
    organisation = OrganisationFilter()
    cron_job = IdFilter(help_text="The job's id.")
    status = filters.ChoiceFilter(choices=Run.Status.choices)
    trigger = filters.ChoiceFilter(choices=Run.Trigger.choices)
    dry_run = YesNoFilter()
    business_date_from = filters.DateFilter(field_name="business_date", lookup_expr="gte")
    business_date_to = filters.DateFilter(field_name="business_date", lookup_expr="lte")

    class Meta:
        model = Run
        fields = ()


class RunItemFilter(AskedFilterSet):
    """Each compares for equality with the field of its name: the rows of a dry run are filtered the same way."""

    action = filters.ChoiceFilter(choices=Action.choices)
    status = filters.ChoiceFilter(choices=ITEM_STATUSES)
    mentor_ref = TextFilter(field_name="mentor__ref", max_length=50, help_text="The organisation's key for the mentor.")

    class Meta:
        model = RunItem
        fields = ()
