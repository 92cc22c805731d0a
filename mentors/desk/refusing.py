"""Forms that the domain refuses when they are saved, e.g. because somebody else was faster: a message says so."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from mentors.conflicts import ConflictError
from mentors.desk.scoped import ScopedAdmin


class RefusingAdmin(ScopedAdmin):
    """Saves through functions of the domain. What can be known before, the form shows beside the field."""

    def changeform_view(  # type: ignore[override]  # a redirect where it is refused
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            answer: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        except ConflictError as refusal:
            return self._say(request, [str(refusal)])
        except ValidationError as error:
            return self._say(request, error.messages)
        return answer

    @staticmethod
    def _say(request: HttpRequest, sentences: list[str]) -> HttpResponse:
        for sentence in sentences:
            messages.error(request, sentence)
        return HttpResponseRedirect(request.get_full_path())


def adopt(obj: Any, saved: Any) -> None:
    """Make the form's object the one that was saved, for what the admin does with it next."""
    obj.pk, obj._state.adding = saved.pk, False
    obj.refresh_from_db()
