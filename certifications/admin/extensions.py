"""Extensions: how many certifications were let expire later at once, by whom and why; and undoing one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from certifications.extensions import undo_extension
from certifications.models import ExtendedCertification, Extension
from mentors.accounts.scope import Permission, Scope
from mentors.desk.action_page import ReasonForm
from mentors.desk.buttons import ButtonsAdmin
from mentors.desk.scoped import ReadOnlyAdmin, actor_of, scope_of

ROWS_AT_ONCE = 100
NAMED_AT_ONCE = 10


@admin.register(Extension)
class ExtensionAdmin(ButtonsAdmin, ReadOnlyAdmin):  # type: ignore[misc]  # unfold and Django differ in how they annotate
    list_display = ("reason", "at", "by", "undone")
    list_select_related = ("by", "undone_by")
    list_filter = ("organisation",)
    fields = ("organisation", "reason", "by", "at", "undone_by", "undone_at", "undone_reason")
    change_form_outer_after_template = "certifications/desk_extension.html"  # type: ignore[assignment]

    def seen(self, scope: Scope) -> Q:
        """Of an organisation that they lead all; else those that touch mentors whom they look after."""
        seen = scope.organisations_led("organisation")
        if not scope.chapters:
            return seen
        theirs = ExtendedCertification.objects.filter(scope.mentors("certification__mentor"))
        return seen | Q(pk__in=theirs.order_by().values("extension"))

    def scope_ids(self, obj: Extension) -> tuple[int | None, int | None]:
        return obj.organisation_id, None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.undo)
        return [path("<path:object_id>/undo/", view, name="certifications_extension_undo"), *super().get_urls()]

    @admin.display(description=gettext_lazy("undone"), boolean=True)
    def undone(self, extension: Extension) -> bool:
        return extension.undone_at is not None

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:  # type: ignore[override]
        extension = options["obj"]
        rows = self.rows_of(request, extension).select_related("certification__mentor", "certification__type")
        may_undo = extension.undone_at is None and self.may_undo(request, extension)
        context |= {
            "extension": extension,
            "page": Paginator(rows, ROWS_AT_ONCE).get_page(request.GET.get("page")),
            "undo": reverse("admin:certifications_extension_undo", args=[extension.pk]) if may_undo else "",
        }
        answer: HttpResponse = super().render_change_form(request, context, **options)
        return answer

    def rows_of(self, request: HttpRequest, extension: Extension) -> QuerySet[ExtendedCertification]:
        """Return the rows about mentors whom the user sees."""
        return extension.certifications.filter(scope_of(request).mentors("certification__mentor"))

    def may_undo(self, request: HttpRequest, extension: Extension) -> bool:
        """Say whether every certification of it is theirs to change; an extension is undone as a whole."""
        if self.may(request, Permission.LEAD, extension):
            return True
        hers = self.rows_of(request, extension).values("pk")
        return not extension.certifications.exclude(pk__in=hers).exists()

    def undo(self, request: HttpRequest, object_id: str) -> HttpResponse:
        extension: Extension = self.find(request, object_id)
        if not self.may_undo(request, extension):
            raise PermissionDenied

        def act(reason: str) -> str:
            count, left = undo_extension(extension, reason=reason, by=actor_of(request), now=timezone.now())
            if left:
                names = [f"{row.certification.mentor.name} ({row.certification.type.name})" for row in left]
                named = ", ".join(names[:NAMED_AT_ONCE]) + (" …" if len(names) > NAMED_AT_ONCE else "")
                said = _("Left alone, because they have changed since: %(names)s") % {"names": named}
                messages.warning(request, said)
            said = ngettext(
                "%(count)d certification expires as before.", "%(count)d certifications expire as before.", count
            )
            return said % {"count": count}

        explanation = _(
            "Each certification gets back the expiry that it had, unless it has changed since. Nobody is paused at "
            "once; who has lapsed again is paused by the next night (rule 4)."
        )
        context = self.context_of(request, title=_("Undo the extension"), explanation=explanation)
        back = reverse("admin:certifications_extension_change", args=[extension.pk])
        return self.ask(request, ReasonForm(request.POST or None), context=context, act=act, back=back)
