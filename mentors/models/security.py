"""The security trail: who came in or failed to, from where, and what was changed about an account."""

from __future__ import annotations

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from mentors.models.organisations import Organisation, User


class SecurityEventQuerySet(models.QuerySet["SecurityEvent"]):
    def search(self, text: str) -> SecurityEventQuerySet:
        """Return those of accounts whose name, login name or e-mail address begins with each of the words."""
        accounts = User.objects.all()
        for word in text.split():
            begins = models.Q()
            for field in ("username", "first_name", "last_name", "email"):
                begins |= models.Q(**{f"{field}__istartswith": word})
            accounts = accounts.filter(begins)
        return self.filter(user__in=accounts.values("pk"))


class SecurityEvent(models.Model):
    """One thing that happened to an account. It is never changed, and removed only when it is no longer kept.

    It has no password, no code, and nothing of a token that lets anybody in; of a login under a name that nobody has,
    not even the name, as people type passwords there.
    """

    class Kind(models.TextChoices):
        LOGIN = "login", _("logged in")
        NEW_DEVICE = "new_device", _("logged in, in a new browser")
        LOGIN_FAILED = "login_failed", _("login failed")
        LOGIN_LOCKED = "login_locked", _("login refused, locked")
        LOGOUT = "logout", _("logged out")
        SESSION_ENDED = "session_ended", _("a browser was logged out from another")
        ACCESS_ENDED = "access_ended", _("all access was ended")
        TOKEN_ISSUED = "token_issued", _("token issued")
        TOKEN_REVOKED = "token_revoked", _("token revoked")
        CALENDAR_MADE = "calendar_made", _("calendar got a new address")
        CALENDAR_REVOKED = "calendar_revoked", _("calendar address revoked")
        PASSWORD_CHANGED = "password_changed", _("password changed")
        PASSWORD_REMOVED = "password_removed", _("password taken away")
        PASSWORD_LINK_ASKED = "password_link_asked", _("link to a new password asked for")
        SECOND_FACTOR_ENROLLED = "factor_enrolled", _("second factor set up")
        SECOND_FACTOR_REMOVED = "factor_removed", _("second factor removed")
        SECOND_FACTOR_RESET = "factor_reset", _("second factor reset")
        CODES_MADE = "codes_made", _("new codes for paper")
        EMAIL_CHANGED = "email_changed", _("e-mail address changed")
        ROLE_GIVEN = "role_given", _("role given")
        ROLE_CHANGED = "role_changed", _("role changed")
        ROLE_ENDED = "role_ended", _("role ended")
        OPERATIONS_GIVEN = "operations_given", _("made a superuser")
        OPERATIONS_ENDED = "operations_ended", _("superuser no more")
        ACCOUNT_OPENED = "account_opened", _("account opened again")
        ACCOUNT_CLOSED = "account_closed", _("account closed")
        ACCOUNT_REMOVED = "account_removed", _("account removed")

    class Door(models.TextChoices):
        DESK = "desk", _("desk")
        API = "api", _("API")
        COMMAND = "command", _("command")

    at = models.DateTimeField(_("time"))
    kind = models.CharField(_("event"), max_length=20, choices=Kind)
    door = models.CharField(_("by way of"), max_length=7, choices=Door)
    # No constraints in the database: the trail outlives the account and the organisation.
    user = models.ForeignKey(
        User,
        verbose_name=_("account"),
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="security_events",
        help_text=_("Empty: nobody's."),
    )
    actor = models.ForeignKey(
        User,
        verbose_name=_("done by"),
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        help_text=_("Empty: its owner, or operations by a command."),
    )
    organisation = models.ForeignKey(
        Organisation,
        verbose_name=_("organisation"),
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
        help_text=_("Of a role."),
    )
    # Whose leads and auditors read it: those in which its owner had a role when it happened; of a role, its own.
    organisations = ArrayField(models.BigIntegerField(), verbose_name=_("read by"), default=list, blank=True)
    address = models.GenericIPAddressField(_("address"), null=True)
    device = models.CharField(_("device"), max_length=60, blank=True)
    token = models.CharField(_("token"), max_length=25, blank=True, help_text=_("How it begins; lets nobody in."))
    facts = models.JSONField(_("facts"), default=dict, blank=True)  # of a role, its duty and its chapter

    objects = SecurityEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("security event")
        verbose_name_plural = _("security events")
        ordering = ("-id",)
        indexes = [
            models.Index(fields=["user", "-id"], name="security_event_of_user"),
            models.Index(fields=["kind", "-id"], name="security_event_of_kind"),
            models.Index(fields=["at"], name="security_event_at"),
            GinIndex(fields=["organisations"], name="security_event_read_by"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.get_kind_display()
