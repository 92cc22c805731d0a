"""Pausing, resuming and ending mentors through the API, and whose mentors one may see."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from certifications.models import Exemption
from mentors.models import Chapter, Mentor, StatusChange, User
from tests.conftest import Api, Certify, Enrol

pytestmark = pytest.mark.django_db

URL = "/api/v1/mentors"


class TestStatus:
    def test_a_pause_by_a_person_is_logged_and_can_be_lifted(self, client: APIClient, mentor: Mentor) -> None:
        paused = client.post(f"{URL}/{mentor.pk}/pause", {"reason": "On leave."})
        again = client.post(f"{URL}/{mentor.pk}/pause", {"reason": "On leave."})
        resumed = client.post(f"{URL}/{mentor.pk}/resume", {}, HTTP_IF_MATCH=paused["ETag"])

        row = paused.json()
        assert (row["status"], row["pause_cause"], row["pause_reason"]) == ("paused", "manual", "On leave.")
        assert again.status_code == 409
        assert (resumed.status_code, resumed.json()["status"]) == (200, "active")
        assert list(StatusChange.objects.values_list("to_status", "actor__username")) == [
            ("active", "kari"),
            ("paused", "kari"),
        ]

    def test_a_pause_by_a_person_takes_over_from_the_nights(self, client: APIClient, enrol: Enrol) -> None:
        mentor = enrol(status="paused", pause_cause="certification_expired")

        answer = client.post(f"{URL}/{mentor.pk}/pause", {"reason": "On leave."})

        assert (answer.status_code, answer.json()["pause_cause"]) == (200, "manual")

    def test_whoever_has_a_lapsed_type_is_resumed_only_with_an_exemption_from_the_organisation(
        self, api: Api, client: APIClient, certify: Certify, enrol: Enrol, olav: User
    ) -> None:
        paused = enrol(status="paused", pause_cause="certification_expired")
        certify(paused, expires_in=-3)
        exemption = {"exempt_until": "2026-12-31", "reason": "The course was cancelled."}

        refused = client.post(f"{URL}/{paused.pk}/resume", {"reason": "Please."})
        forbidden = client.post(f"{URL}/{paused.pk}/resume", exemption)
        resumed = api(olav).post(f"{URL}/{paused.pk}/resume", exemption)

        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "lapsed_types_remain")
        assert forbidden.status_code == 403
        assert (resumed.json()["status"], resumed.json()["lapsed_types"]) == ("active", [])
        assert str(Exemption.objects.get().until_on) == "2026-12-31"

    @pytest.mark.parametrize(
        ("body", "attr"),
        [
            ({"exempt_until": "2026-11-20", "reason": "Late."}, "exempt_until"),
            ({"exempt_until": "9999-12-31", "reason": "For ever."}, "exempt_until"),
            ({"exempt_until": "2026-12-31"}, "reason"),
            ({"exempt_until": None}, "exempt_until"),
            ({"until": "2026-12-31"}, "until"),
        ],
    )
    def test_a_wrong_exemption_is_400(
        self, api: Api, olav: User, enrol: Enrol, body: dict[str, Any], attr: str
    ) -> None:
        paused = enrol(status="paused", pause_cause="manual")

        answer = api(olav).post(f"{URL}/{paused.pk}/resume", body)

        assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)

    def test_an_end_is_final(self, client: APIClient, mentor: Mentor) -> None:
        ended = client.post(f"{URL}/{mentor.pk}/end", {"reason": "Moved away."})
        answers = [
            client.post(f"{URL}/{mentor.pk}/{act}", {"reason": "Once more."}) for act in ("end", "pause", "resume")
        ]

        assert ended.json()["status"] == "ended"
        assert [answer.status_code for answer in answers] == [409, 409, 409]

    @pytest.mark.parametrize("act", ["pause", "end"])
    def test_a_reason_is_needed(self, client: APIClient, mentor: Mentor, act: str) -> None:
        answer = client.post(f"{URL}/{mentor.pk}/{act}", {})

        assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "reason")


class TestScope:
    @pytest.mark.parametrize("act", ["", "/timeline", "/pause", "/resume", "/end"])
    def test_a_mentor_elsewhere_is_404(
        self, client: APIClient, enrol: Enrol, bergen: Chapter, elsewhere: Chapter, act: str
    ) -> None:
        other = Mentor.objects.create(organisation=elsewhere.organisation, chapter=elsewhere, ref="X", name="X")
        call = client.post if act in {"/pause", "/resume", "/end"} else client.get

        answers = [call(f"{URL}/{mentor.pk}{act}") for mentor in (enrol(chapter=bergen), other)]

        assert [answer.status_code for answer in answers] == [404, 404]

    def test_a_list_holds_what_the_roles_reach(
        self, api: Api, client: APIClient, enrol: Enrol, bergen: Chapter, elsewhere: Chapter, olav: User, auditor: User
    ) -> None:
        Mentor.objects.create(organisation=elsewhere.organisation, chapter=elsewhere, ref="X", name="X")
        enrol(ref="in Oslo")
        enrol(ref="in Bergen", chapter=bergen)

        def refs(client: APIClient) -> list[str]:
            return [row["ref"] for row in client.get(URL).json()["results"]]

        assert refs(client) == ["in Oslo"]
        assert refs(api(olav)) == ["in Oslo", "in Bergen"]
        assert refs(api(auditor)) == []
        assert refs(api(User.objects.create_superuser("root"))) == ["in Oslo", "in Bergen", "X"]

    def test_an_auditor_enrols_nobody_and_a_stranger_needs_a_token(
        self, api: Api, auditor: User, oslo: Chapter, mentor: Mentor
    ) -> None:
        body = {"chapter": oslo.pk, "ref": "X1", "name": "Åse"}

        assert api(auditor).post(URL, body).status_code == 403
        assert api(auditor).get(f"{URL}/{mentor.pk}").status_code == 404
        assert api().post(URL, body).status_code == 401
