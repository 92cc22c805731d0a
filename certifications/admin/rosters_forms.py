"""What an import asks for, before its preview and after it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _
from import_export.forms import ConfirmImportForm, ImportForm

from certifications.models import RosterUpload
from certifications.roster_uploads import MAX_BYTES, UploadGone, lock_upload
from mentors.accounts.scope import Permission, Scope
from mentors.desk.action_page import AskForm
from mentors.models import Organisation, User


class RosterForm(AskForm, ImportForm):  # type: ignore[misc]  # the library has no types
    """A file, and the organisation whose roster it is: of those that the user leads."""

    import_file = forms.FileField(label=_("Roster"), help_text=_("A CSV file, or an Excel file (XLSX)."))
    organisation = forms.ModelChoiceField(label=_("Organisation"), queryset=Organisation.objects.none())
    create_chapters = forms.BooleanField(
        label=_("Create the chapters that it names"),
        required=False,
        help_text=_("Otherwise a line with an unknown chapter is wrong."),
    )
    skip_errors = forms.BooleanField(
        label=_("Leave out the lines that are wrong"),
        required=False,
        help_text=_("Otherwise nothing is imported as long as one line is wrong."),
    )
    field_order = ("import_file", "organisation", "create_chapters", "skip_errors")

    def __init__(self, *args: Any, user: User, scope: Scope, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        for name in ("resource", "format"):  # which the file says itself
            del self.fields[name]
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

    def clean(self) -> dict[str, Any]:
        """Note on the file whose it is, where what keeps it will look."""
        values = self.cleaned_data
        if (file := values.get("import_file")) and (organisation := values.get("organisation")):
            file.user, file.organisation = self.user, organisation
        return values | {"format": "0"}


class YesForm(ConfirmImportForm):  # type: ignore[misc]  # the library has no types
    """Yes to the file whose preview was looked at: the user's own, for an organisation that they still lead."""

    original_file_name = format = resource = None
    import_file_name = forms.CharField(required=False, widget=forms.HiddenInput)
    create_chapters = forms.BooleanField(required=False, widget=forms.HiddenInput)
    skip_errors = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, user: User, scope: Scope, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.scope = user, scope

    def clean_import_file_name(self) -> RosterUpload:
        """Lock the file, in the transaction that imports it. Raises UploadGone."""
        upload = lock_upload(self.cleaned_data["import_file_name"], user=self.user)
        if not self.scope.may(Permission.LEAD, organisation_id=upload.organisation_id):
            raise UploadGone
        return upload

    def clean(self) -> dict[str, Any]:
        return {**self.cleaned_data, "format": "0"}
