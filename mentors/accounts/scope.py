"""Who sees what, and who may do what: the one place for roles (docs/api.md, "Who may").

A `Scope` is made once a request. Lists, details, filters, nested routes and ids in a body all go through it, so what
it does not name does not exist for the user.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q

from mentors.models import CoordinatorRole, User

NOTHING = Q(pk__in=[])

Role = tuple[str, int, int | None]  # duty, organisation, chapter


class Permission(Enum):
    """What an act asks for."""

    SEE = "see"
    COORDINATE = "coordinate"  # a chapter's coordinator, for the mentors of that chapter
    LEAD = "lead"  # an organisation-wide coordinator
    AUDIT = "audit"  # who leads an organisation, and its auditors
    OPERATE = "operate"  # a superuser


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a user's roles reach: organisations and chapters by id, or everything for a superuser."""

    everything: bool = False
    led: frozenset[int] = frozenset()  # organisations, as a whole
    chapters: frozenset[int] = frozenset()
    coordinated: frozenset[int] = frozenset()  # organisations of either
    audited: frozenset[int] = frozenset()

    @classmethod
    def of(cls, user: User | AnonymousUser) -> Scope:
        """Read the user's roles, in one query; a superuser needs none."""
        if not isinstance(user, User) or not user.is_active:
            return cls()
        if user.is_superuser:
            return cls(everything=True)
        return cls._of_roles(user.roles.values_list("duty", "organisation", "chapter"))

    @classmethod
    def of_now(cls, user: User | AnonymousUser) -> Scope:
        """Read the roles again, and the account, which may have been closed since the user came in."""
        if isinstance(user, User):
            user.refresh_from_db(fields=["is_active", "is_superuser"])
        return cls.of(user)

    @classmethod
    def of_all(cls, user_ids: Iterable[int]) -> dict[int, Scope]:
        """Read the roles of many users, in two queries; who is not active sees nothing."""
        users = User.objects.filter(pk__in=user_ids, is_active=True).values_list("pk", "is_superuser")
        roles: dict[int, list[Role]] = {pk: [] for pk, is_superuser in users if not is_superuser}
        for role in CoordinatorRole.objects.filter(user__in=roles):
            roles[role.user_id].append((role.duty, role.organisation_id, role.chapter_id))
        scopes = {pk: cls(everything=True) for pk, is_superuser in users if is_superuser}
        return scopes | {pk: cls._of_roles(of_user) for pk, of_user in roles.items()}

    @classmethod
    def _of_roles(cls, found: Iterable[Role]) -> Scope:
        roles = list(found)
        coordinates = [role for role in roles if role[0] == CoordinatorRole.Duty.COORDINATOR]
        return cls(
            led=frozenset(organisation for _, organisation, chapter in coordinates if chapter is None),
            chapters=frozenset(chapter for *_, chapter in coordinates if chapter is not None),
            coordinated=frozenset(organisation for _, organisation, _ in coordinates),
            audited=frozenset(organisation for duty, organisation, _ in roles if duty == CoordinatorRole.Duty.AUDITOR),
        )

    def may(self, permission: Permission, *, organisation_id: int | None = None, chapter_id: int | None = None) -> bool:
        """Say whether they may do what asks for the permission in the place; without a place: anywhere."""
        if self.everything:
            return True
        match permission:
            case Permission.SEE:
                reached: frozenset[int] = self.coordinated | self.audited
            case Permission.LEAD:
                reached = self.led
            case Permission.AUDIT:
                reached = self.led | self.audited
            case Permission.OPERATE:
                reached = frozenset()
            case Permission.COORDINATE if chapter_id in self.chapters:
                return True
            case Permission.COORDINATE:
                reached = self.led if organisation_id else self.coordinated
        return organisation_id in reached if organisation_id else bool(reached)

    def is_within(self, other: Scope) -> bool:
        """Say whether the other reaches everything that this one does."""
        return other.everything or (
            not self.everything
            and self.led <= other.led
            and self.chapters <= other.chapters
            and self.coordinated <= other.coordinated
            and self.audited <= other.audited
        )

    def mentors(self, path: str = "", *, of_led: Q | None = None) -> Q:
        """Return the condition for rows about mentors they see; `path` leads from the row to the mentor.

        `of_led` says "of an organisation that they lead" in another way, for a table that has an index for it.
        """
        if self.everything:
            return Q()
        prefix = f"{path}__" if path else ""
        seen = NOTHING
        if self.led:
            seen |= of_led if of_led is not None else Q(**{f"{prefix}organisation__in": self.led})
        if self.chapters:
            seen |= Q(**{f"{prefix}chapter__in": self.chapters})
        return seen

    def runs(self, path: str = "organisation") -> Q:
        """Return the condition for runs and schedules: those of every organisation in which they have a role."""
        return self._in_organisations(path, self.coordinated | self.audited)

    def ledger(self, path: str = "mentor") -> Q:
        """Return the condition for items of the ledger: an auditor sees the organisation's, others their mentors'."""
        return self.mentors(path) | self._in_organisations(f"{path}__organisation", self.audited)

    def sees_item(self, *, organisation_id: int, chapter_id: int) -> bool:
        """Say what `ledger` says, for an item that is in no table: whether they see one about the chapter's mentors."""
        return self.sees_all_items(organisation_id=organisation_id) or chapter_id in self.chapters

    def sees_all_items(self, *, organisation_id: int) -> bool:
        """Say whether `ledger` leaves nothing out of the organisation's."""
        return self.everything or organisation_id in self.led | self.audited

    def security_events(self) -> Q:
        """Return the condition for events of accounts that had a role, when it happened, in what they lead or audit."""
        if self.everything:
            return Q()
        ids = sorted(self.led | self.audited)
        return Q(organisations__overlap=ids) if ids else NOTHING

    def types(self, path: str = "organisation") -> Q:
        """Return the condition for certification types, which every coordinator of the organisation needs."""
        return self._in_organisations(path, self.coordinated)

    def organisations_led(self, path: str = "pk") -> Q:
        """Return the condition for organisations that they lead."""
        return self._in_organisations(path, self.led)

    def own_chapters(self) -> Q:
        """Return the condition for chapters they look after."""
        if self.everything:
            return Q()
        return Q(organisation__in=self.led) | Q(pk__in=self.chapters)

    def _in_organisations(self, path: str, ids: frozenset[int]) -> Q:
        if self.everything:
            return Q()
        return Q(**{f"{path}__in": ids}) if ids else NOTHING
