"""The admin's theme: colours, the menu, and which users see which entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

# A blue that has a contrast of at least 4.5 to white where white text stands on it (500 and darker).
PRIMARY = {
    "50": "#eef5fc", "100": "#d9e8f8", "200": "#b6d2f1", "300": "#86b4e6", "400": "#5190d6", "500": "#2a6fbd",
    "600": "#1b5aa3", "700": "#174a87", "800": "#173f6f", "900": "#18365d", "950": "#10233f",
}  # fmt: skip
# unfold's own grey is one step too light for small text.
FONT = {
    "subtle-light": "var(--color-base-600)", "subtle-dark": "var(--color-base-300)",
    "default-light": "var(--color-base-700)", "default-dark": "var(--color-base-200)",
    "important-light": "var(--color-base-900)", "important-dark": "var(--color-base-100)",
}  # fmt: skip


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    """Return a check whether the user has the permission in any organisation or chapter."""

    def may(request: HttpRequest) -> bool:
        from mentors.accounts.scope import Permission
        from mentors.desk.scoped import scope_of

        return scope_of(request).may(Permission(permission))

    return may


def _item(title: Any, icon: str, name: str, permission: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}"), "permission": _may(permission)}


def _static(name: str) -> Callable[[HttpRequest], str]:
    """Return a function for the URL of a file: when settings are read, URLs are not known yet."""

    def address(_request: HttpRequest) -> str:
        return static(name)

    return address


MENU = [
    {
        "items": [
            _item(_("Home"), "home", "index", "see"),
            _item(_("Mentors"), "group", "mentors_mentor_changelist", "coordinate"),
            _item(_("Certifications"), "verified", "certifications_certification_changelist", "coordinate"),
            _item(_("Messages"), "mail", "notifications_notification_changelist", "coordinate"),
            _item(_("Runs"), "nights_stay", "cronjobs_run_changelist", "see"),
        ],
    },
    {
        "title": _("Organisation"),
        "collapsible": True,
        "items": [
            _item(_("Schedules"), "schedule", "cronjobs_cronjob_changelist", "lead"),
            _item(_("Import roster"), "upload", "certifications_rosterupload_import", "lead"),
            _item(_("Exemptions"), "event_available", "certifications_exemption_changelist", "coordinate"),
            _item(_("Extensions"), "update", "certifications_extension_changelist", "coordinate"),
            _item(_("Types"), "category", "certifications_certificationtype_changelist", "coordinate"),
            _item(_("Chapters"), "location_city", "mentors_chapter_changelist", "coordinate"),
            _item(_("Coordinators"), "badge", "mentors_coordinatorrole_changelist", "lead"),
            _item(_("Invitations"), "forward_to_inbox", "mentors_invitation_changelist", "lead"),
            _item(_("Security events"), "shield_person", "mentors_securityevent_changelist", "audit"),
            _item(_("Organisations"), "corporate_fare", "mentors_organisation_changelist", "lead"),
        ],
    },
    {
        "title": _("Operations"),
        "collapsible": True,
        "items": [
            _item(_("Incidents"), "emergency_home", "cronjobs_incident_changelist", "operate"),
            _item(_("Alerts"), "notifications_active", "cronjobs_alert_changelist", "operate"),
            _item(_("Heartbeats"), "ecg_heart", "cronjobs_heartbeat_changelist", "operate"),
            _item(_("Seals"), "lock", "cronjobs_seal_changelist", "operate"),
            _item(_("Users"), "manage_accounts", "mentors_user_changelist", "operate"),
            _item(_("Apps"), "webhook", "notifications_webhook_changelist", "operate"),
            _item(_("Beat"), "timer", "django_celery_beat_periodictask_changelist", "operate"),
        ],
    },
]

SETTINGS: dict[str, Any] = {
    "SITE_TITLE": "Nattevakt",
    "SITE_HEADER": "Nattevakt",
    "SITE_SYMBOL": "nights_stay",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {"primary": PRIMARY, "font": FONT},
    "STYLES": [_static("desk/desk.css"), _static("desk/accessible.css")],
    "SCRIPTS": [_static("desk/accessible.js")],
    "DASHBOARD_CALLBACK": "cronjobs.admin.home.show_home",
    # No search: the menu is short, and unfold caches results in Redis, which may be down.
    "SIDEBAR": {"show_search": False, "show_all_applications": _may("operate"), "navigation": MENU},
}
