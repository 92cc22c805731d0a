"""The import of a roster at the desk: a file, its preview line by line, and yes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from certifications.models import RosterUpload
from certifications.roster import ImportReport, LineVerdict
from certifications.roster_errors import LineCode, RosterFileError
from certifications.roster_reader import COLUMNS
from certifications.roster_uploads import MAX_BYTES, UploadGone, import_upload, keep_upload, lock_upload
from mentors.accounts.scope import NOTHING, Permission, Scope
from mentors.desk.action_page import AskForm
from mentors.desk.scoped import ReadOnlyAdmin, acting, actor_of, scope_of
from mentors.models import Organisation, User

VERDICTS = {
    "created": gettext_lazy("New"),
    "updated": gettext_lazy("Changed"),
    "unchanged": gettext_lazy("Unchanged"),
    "error": gettext_lazy("Wrong"),
}
# What the desk says in other words than the command: of its own options, and where one word means too much.
SENTENCES = {
    LineCode.REQUIRED: gettext_lazy("must not be empty"),
    LineCode.UNKNOWN_CHAPTER: gettext_lazy("unknown chapter: create it, or tick “Create the chapters that it names”"),
}


class RosterForm(AskForm):
    """A file, and the organisation whose roster it is: of those that the user leads."""

    import_file = forms.FileField(
        label=gettext_lazy("Roster"), help_text=gettext_lazy("A CSV file, or an Excel file (XLSX).")
    )
    organisation = forms.ModelChoiceField(label=gettext_lazy("Organisation"), queryset=Organisation.objects.none())
    create_chapters = forms.BooleanField(
        label=gettext_lazy("Create the chapters that it names"),
        required=False,
        help_text=gettext_lazy("Otherwise a line with an unknown chapter is wrong."),
    )
    skip_errors = forms.BooleanField(
        label=gettext_lazy("Leave out the lines that are wrong"),
        required=False,
        help_text=gettext_lazy("Otherwise nothing is imported as long as one line is wrong."),
    )

    def __init__(self, *args: Any, scope: Scope, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        led = Organisation.objects.filter(scope.organisations_led())
        self.fields["organisation"].queryset = led  # type: ignore[attr-defined]
        if len(some := led[:2]) == 1:
            self.fields["organisation"].widget = forms.HiddenInput()
            self.initial["organisation"] = some[0].pk

    def clean_import_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["import_file"]
        if (file.size or 0) > MAX_BYTES:
            raise ValidationError(
                _("The file is larger than %(size)s MB: ask operations to import it with the command import_roster."),
                params={"size": MAX_BYTES // 1_000_000},
            )
        return file


@admin.register(RosterUpload)
class RosterUploadAdmin(ReadOnlyAdmin):
    """Has no list: an upload is nobody's to look at but in the preview of who uploaded it."""

    viewing = Permission.LEAD

    def seen(self, scope: Scope) -> Q:
        return NOTHING

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "certifications_rosterupload"
        return [
            path("import/", wrap(self.import_view), name=f"{name}_import"),
            path("process_import/", wrap(require_POST(self.process_import_view)), name=f"{name}_process_import"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return self.import_view(request)

    def import_view(self, request: HttpRequest) -> TemplateResponse:
        """Ask for a file, or show what an import of it would do; nothing is written yet."""
        if not self.may(request, Permission.LEAD):
            raise PermissionDenied
        form = RosterForm(request.POST or None, request.FILES or None, scope=scope_of(request))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "form": form, "columns": COLUMNS}
        if form.is_valid():
            try:
                context |= _preview(actor_of(request), **form.cleaned_data)
            except RosterFileError as error:
                form.add_error("import_file", str(error))
        return TemplateResponse(request, "desk/import.html", context, status=422 if form.errors else 200)

    def process_import_view(self, request: HttpRequest) -> HttpResponse:
        """Import the file that the preview was of, by the rules and the rows of now, and forget it."""
        if not self.may(request, Permission.LEAD):
            raise PermissionDenied
        again = HttpResponseRedirect(reverse("admin:certifications_rosterupload_import"))
        try:
            with acting(request):
                upload = lock_upload(request.POST.get("import_file_name", ""), user=actor_of(request))
                if not scope_of(request).may(Permission.LEAD, organisation_id=upload.organisation_id):
                    raise UploadGone
                report = import_upload(
                    upload,
                    now=timezone.now(),
                    create_chapters="create_chapters" in request.POST,
                    skip_errors="skip_errors" in request.POST,
                    dry_run=False,
                ).report
                upload.delete()
        except (UploadGone, RosterFileError) as error:
            messages.warning(request, str(error))
            return again
        if not report.imported:
            text = ngettext(
                "Nothing was imported: %(count)d line is wrong. Correct it, and upload the file again.",
                "Nothing was imported: %(count)d lines are wrong. Correct them, and upload the file again.",
                report.errors,
            )
            messages.error(request, text % {"count": report.errors})
            return again
        messages.success(request, _say_what_was_imported(upload.name, report))
        return HttpResponseRedirect(reverse("admin:mentors_mentor_changelist"))


def _preview(
    user: User, *, import_file: UploadedFile[Any], organisation: Organisation, create_chapters: bool, skip_errors: bool
) -> dict[str, Any]:
    """Keep the file until its user says yes; return what the page shows of it. Raises RosterFileError."""
    now = timezone.now()
    with transaction.atomic():  # a file that is no roster is not kept
        upload = keep_upload(
            user=user, organisation=organisation, name=import_file.name or "", content=import_file.read(), now=now
        )
        options = {"create_chapters": create_chapters, "skip_errors": skip_errors}
        done = import_upload(upload, now=now, dry_run=True, **options)
    report = done.report
    return options | {
        "upload": upload,
        "report": report,
        "importable": report.created + report.updated,
        "verdicts": [(verdict, word, report.lines.count(verdict)) for verdict, word in VERDICTS.items()],
        "lines": [
            (line, VERDICTS[line.verdict], dict(zip(COLUMNS, done.cells[line.line], strict=False)), _explain(line))
            for line in report.lines
        ],
    }


def _explain(line: LineVerdict) -> str:
    sentence = SENTENCES.get(line.code) if line.code else None
    return str(sentence) % line.params if sentence else line.message


def _say_what_was_imported(name: str, report: ImportReport) -> str:
    said = _(
        "Imported %(file)s: %(created)d lines new, %(updated)d changed, %(unchanged)d unchanged, %(errors)d left out."
    ) % {
        "file": name,
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
