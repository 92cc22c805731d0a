"""The expiry job by hand, as the first contract has it: pause and resume, and no reminders."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from cronjobs import starting
from cronjobs.api.serializers import RunSerializer
from cronjobs.api.starting import LOCATION, RunStarter
from cronjobs.models import Run
from mentors.accounts.scope import Permission
from mentors.models import Organisation
from mentors.rest.openapi import examples
from mentors.rest.serializers import OrganisationInScope, StrictSerializer


@examples({"For the only organisation": {}, "Only a look": {"organisation": "hlf", "dry_run": True}})
class ExpiryJobSerializer(StrictSerializer):
    """Whose expiry job, and whether only to look."""

    organisation = OrganisationInScope(required=False, help_text="Its slug. Left out: the one that the user leads.")
    dry_run = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "organisation" not in attrs:
            led = Organisation.objects.filter(self.context["view"].scope.organisations_led())[:2]
            if len(led) != 1:
                message = _("Say for which organisation: there is not exactly one that you lead.")
                raise serializers.ValidationError({"organisation": serializers.ErrorDetail(message, code="required")})
            attrs["organisation"] = led[0]
        return attrs


class ExpiryJobViewSet(RunStarter):
    queryset = Run.objects.none()
    serializer_class = RunSerializer
    filter_backends = ()
    permissions_by_action = {"run": Permission.LEAD}

    # In no transaction of ours: see CronJobViewSet.execute.
    @extend_schema(request=ExpiryJobSerializer, responses={202: RunSerializer}, parameters=[LOCATION])
    @action(detail=False, methods=["post"])
    def run(self, request: Request) -> Response:
        """Pause and resume now, and remind nobody: 409 with the id of the organisation's open run while there is one.

        A dry run is never in the way; it writes down that somebody looked, and does nothing.
        """
        body = self.read_body(ExpiryJobSerializer)
        self.check_object_permissions(request, Run(organisation=body["organisation"]))
        return self.accept(
            starting.execute_expiry_check,
            **body,
            actions=starting.EXPIRY_ACTIONS,
            requested_by=self.username,
            now=self.now,
        )
