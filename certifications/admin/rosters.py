"""The import of a roster at the desk: a file, its preview line by line, and yes."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from import_export.admin import ImportMixin

from certifications.admin.rosters_forms import RosterForm, YesForm
from certifications.admin.rosters_import import WORDS, RosterFormat, RosterResource, RosterResult, UploadStorage
from certifications.models import RosterUpload
from certifications.roster_file import COLUMNS
from certifications.roster_uploads import UploadGone, forget_upload
from mentors.accounts.scope import NOTHING, Permission, Scope
from mentors.desk.scoped import ReadOnlyAdmin, actor_of, scope_of


@admin.register(RosterUpload)
class RosterUploadAdmin(ImportMixin, ReadOnlyAdmin):  # type: ignore[misc]  # the library has no types
    """Has no list: an upload is nobody's to look at but in the preview of who uploaded it."""

    viewing = Permission.LEAD
    resource_classes: ClassVar[list[type]] = [RosterResource]
    import_formats = (RosterFormat,)
    import_form_class = RosterForm
    confirm_form_class = YesForm
    tmp_storage_class = UploadStorage
    import_template_name = "desk/import.html"
    skip_admin_log = True  # the triggers keep what changed, row by row

    def seen(self, scope: Scope) -> Q:
        return NOTHING

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.may(request, Permission.LEAD)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return self.import_action(request)

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Ask for a file, or show what an import of it would do; nothing is written yet."""
        page: TemplateResponse = super().import_action(request, **kwargs)
        context = page.context_data or {}
        result: RosterResult | None = context.get("result")
        if result and result.has_errors():
            _refuse_file(context, result)
        elif result:
            context["verdicts"] = [(kind, word, result.totals[kind]) for kind, word in WORDS.items()]
        if context["form"].errors:
            page.status_code = 422
        return page

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Import the file that the preview was of, by the rules and the rows of now, and forget it."""
        try:
            with transaction.atomic():
                done: HttpResponse = super().process_import(request, **kwargs)
        except UploadGone as gone:
            messages.warning(request, str(gone))
            return HttpResponseRedirect(reverse("admin:certifications_rosterupload_import"))
        return done

    def get_import_form_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_import_form_kwargs(request), **_who(request)}

    def get_confirm_form_kwargs(self, request: HttpRequest, import_form: Any = None) -> dict[str, Any]:
        return {**super().get_confirm_form_kwargs(request, import_form), **_who(request)}

    def get_confirm_form_initial(self, request: HttpRequest, import_form: Any) -> dict[str, Any]:
        if import_form is None:
            return {}
        given = import_form.cleaned_data
        upload = given["import_file"].tmp_storage_name
        return {"import_file_name": upload.pk} | {name: given[name] for name in ("create_chapters", "skip_errors")}

    def write_to_tmp_storage(self, import_file: UploadedFile[Any], input_format: Any) -> UploadStorage:
        storage = UploadStorage()
        storage.name = storage.save(import_file)
        return storage

    def get_import_data_kwargs(self, *, form: Any, **_kwargs: Any) -> dict[str, Any]:
        options = {name: form.cleaned_data[name] for name in ("create_chapters", "skip_errors")}
        return options | {"now": timezone.now()}

    def get_import_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {"columns": COLUMNS}

    def process_result(self, result: RosterResult, request: HttpRequest) -> HttpResponse:
        if result.has_errors() or not result.report.imported:
            messages.error(request, _say_nothing_was_imported(result))
            return HttpResponseRedirect(reverse("admin:certifications_rosterupload_import"))
        messages.success(request, _say_what_was_imported(result))
        return HttpResponseRedirect(reverse("admin:mentors_mentor_changelist"))


def _refuse_file(context: dict[str, Any], result: RosterResult) -> None:
    """Say in the form why the file is no roster, and forget it."""
    forget_upload(result.upload.pk)
    for error in result.base_errors:
        context["form"].add_error("import_file", error.error)
    del context["result"]


def _who(request: HttpRequest) -> dict[str, Any]:
    return {"user": actor_of(request), "scope": scope_of(request)}


def _say_nothing_was_imported(result: RosterResult) -> str:
    if result.has_errors():
        return " ".join(error.error for error in result.base_errors)
    text = ngettext(
        "Nothing was imported: %(count)d line is wrong. Correct it, and upload the file again.",
        "Nothing was imported: %(count)d lines are wrong. Correct them, and upload the file again.",
        result.wrong,
    )
    return text % {"count": result.wrong}


def _say_what_was_imported(result: RosterResult) -> str:
    report = result.report
    said = _(
        "Imported %(file)s: %(created)d lines new, %(updated)d changed, %(unchanged)d unchanged, %(errors)d left out."
    ) % {
        "file": result.upload.name,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "errors": report.errors,
    }
    if not report.resumed:
        return said
    resumed = ngettext(
        "%(count)d mentor is resumed, because the renewal is in.",
        "%(count)d mentors are resumed, because their renewals are in.",
        report.resumed,
    )
    return f"{said} {resumed % {'count': report.resumed}}"
