"""Delivering what is queued, outside every transaction that changes a mentor.

1. Defer: what is due while its organisation's sending hours are over waits until they open.
2. Claim: a batch of due rows becomes `sending`, with a lease, and is committed (notifications/claims.py).
3. Check (rule 8): what is no longer true, or not for this reader any more, is cancelled with its reason. A row that
   cannot be read, or has nowhere to go, fails alone, and so does a host.
4. Send each over the connection that its batch shares, if it still is this batch's, and write down at once what became
   of it, before the next. What was checked some seconds ago is checked again first.

A worker that dies after step 2 leaves rows in `sending`; when their lease is over, `free_stuck` queues them again. One
that dies between the host's answer and step 4's commit has its one message sent again, under the same Message-ID.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from time import monotonic, sleep
from uuid import UUID, uuid4

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, Min
from django.utils import timezone

from mentors.models import Organisation
from mentors.record_text import EMPTY, RecordText
from notifications import record_text
from notifications.bounces import mark_app_gone, mark_bad, tell_of_mentor
from notifications.channel import Channel, Envelope, Fault, Recipient, Refused, Send, TryLater, Unreachable
from notifications.channels import CHANNELS, EMAIL
from notifications.claims import claim_due, give_up, mark_sent, put_back, put_back_untried, renew
from notifications.links import add_secret
from notifications.messages.context import Message, gather, read_notifications
from notifications.messages.fragments import organisation_of
from notifications.messages.payload import payload_of
from notifications.messages.render import render_message
from notifications.models import BadAddress, Notification
from notifications.rates import reserve
from notifications.readers import leave_out_unseen
from notifications.recipients import next_channel
from notifications.service import get_notification_service

log = structlog.get_logger(__name__)

LONGEST_PAUSE = timedelta(hours=6)
# For so long what was found true is taken for true: a batch may take longer to be sent.
FRESH_SECONDS = 2.0
# So many tasks are begun at a time for what has become due; each goes on by itself while there is more.
MOST_WORKERS = 8
# A batch gives a host up after so many connections in a row that came to nothing.
CONNECTIONS = 2
NOBODY_KNOWN = Recipient()
# All that is claimed is queued again when its lease is over.
NO_ROWS_FAULT = (SoftTimeLimitExceeded, OperationalError, InterfaceError)
# To the owner of an account, about it: at any hour, and to nowhere but the owner's own mailbox.
ABOUT_ACCOUNTS = (Notification.Kind.INVITED, Notification.Kind.ACCOUNT)

# Takes out of the messages what is no longer true, and returns why, by id, for those of which nothing is left to say;
# rule 8 is known two floors up.
FindOutdated = Callable[[Sequence[Message]], dict[int, RecordText]]


def deliver_batch(*, now: datetime, recheck_messages: FindOutdated) -> int:
    """Deliver up to `DELIVERY_BATCH_SIZE` due notifications; return how many were claimed."""
    batch = _Batch(began_at=now, recheck_messages=recheck_messages)
    defer(now=now)
    claimed = claim_due(batch.claim, now=now)
    groups: dict[tuple[str, str], deque[Outgoing]] = defaultdict(deque)
    for outgoing in batch.check(claimed):
        groups[outgoing.channel, outgoing.host].append(outgoing)
    for (code, host), group in groups.items():
        try:
            _deliver_group(CHANNELS[code], host, group, batch)
        except NO_ROWS_FAULT:
            raise
        except Exception as error:
            for outgoing in group:
                batch.keep_error(outgoing.row.pk, error)
    _log_outcomes(claimed, seconds=batch.seconds())
    return len(claimed)


def deliver_all(*, now: Callable[[], datetime], recheck_messages: FindOutdated) -> None:
    """Deliver in this process until nothing is due."""
    while deliver_batch(now=now(), recheck_messages=recheck_messages):
        pass


def defer(*, now: datetime) -> None:
    """Let what is due while its organisation's sending hours are over wait until they open (rule 12)."""
    closed: dict[datetime, list[int]] = defaultdict(list)
    for organisation in Organisation.objects.all():
        closed[organisation.next_sending_time(now)].append(organisation.pk)
    closed.pop(now, None)  # those that are open
    at_any_hour = [code for code, channel in CHANNELS.items() if not channel.keeps_hours]
    due = Notification.objects.due(now=now).exclude(channel__in=at_any_hour).exclude(kind__in=ABOUT_ACCOUNTS)
    for opens_at, organisations in closed.items():
        due.filter(organisation__in=organisations).update(next_attempt_at=opens_at)


def next_due_at() -> datetime | None:
    """Return when the next message is due; None: nothing waits."""
    at: datetime | None = Notification.objects.filter(status=Notification.Status.QUEUED).aggregate(
        at=Min("next_attempt_at")
    )["at"]
    return at


def workers_wanted(*, now: datetime) -> int:
    """Return how many tasks should take up what is due, besides those that are at it: one a batch, some at most."""
    due = Notification.objects.due(now=now).order_by()[: settings.DELIVERY_BATCH_SIZE * MOST_WORKERS].count()
    return -(-due // settings.DELIVERY_BATCH_SIZE)


def send_again(notifications: Iterable[Notification], *, now: datetime) -> int:
    """Queue dead letters anew, with all their attempts and ways, under the Message-ID they had; return how many."""
    queued = 0
    for row in notifications:
        dead = Notification.objects.filter(pk=row.pk, status__in=Notification.DEAD_LETTERS)
        queued += dead.update(
            status=Notification.Status.QUEUED,
            channel=[*row.given_up, row.channel][0],
            given_up=[],
            attempts=0,
            next_attempt_at=_within_hours(row, now),
        )
    return queued


def _keeps_hours(row: Notification) -> bool:
    """Say whether the message waits for its organisation's sending hours (rule 12)."""
    return row.kind not in ABOUT_ACCOUNTS and (row.channel not in CHANNELS or CHANNELS[row.channel].keeps_hours)


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message, and where it goes; without an address, nowhere."""

    message: Message
    address: str = field(repr=False)
    host: str

    @property
    def row(self) -> Notification:
        return self.message.notification

    @property
    def channel(self) -> str:
        return self.row.channel

    @classmethod
    def of(cls, message: Message) -> Outgoing:
        channel = CHANNELS.get(message.notification.channel)  # its file may have been taken away
        address = channel.address_of(message.recipient) if channel else ""
        return cls(message=message, address=address, host=channel.host_of(address) if channel and address else "")


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What one call has claimed, and its clock."""

    began_at: datetime
    recheck_messages: FindOutdated
    claim: UUID = field(default_factory=uuid4)
    _began: float = field(default_factory=monotonic)

    def seconds(self) -> float:
        return monotonic() - self._began

    def now(self) -> datetime:
        return self.began_at + timedelta(seconds=self.seconds())

    def check(self, ids: Sequence[int]) -> list[Outgoing]:
        """Return what may leave of these; the others are cancelled, have failed, or go another way.

        If they cannot be read or checked together, each is by itself, so that one bad row stops only itself.
        """
        try:
            with transaction.atomic():
                mine = read_notifications().filter(pk__in=ids, status=Notification.Status.SENDING, claim=self.claim)
                messages = gather(mine.order_by("pk"), now=self.began_at)
                outdated = self.recheck_messages(messages) | leave_out_unseen(messages)
                not_told = [event.row for message in messages for event in message.not_for_reader if event.row]
                get_notification_service().tell_instead(not_told, now=self.began_at)
                found = [Outgoing.of(message) for message in messages]
                bad = _bad_addresses(found)
        except NO_ROWS_FAULT:
            raise
        except Exception as error:
            if len(ids) > 1:
                return [outgoing for pk in ids for outgoing in self.check([pk])]
            self.keep_error(ids[0], error)
            return []
        return [outgoing for outgoing in found if self._may_leave(outgoing, outdated, bad)]

    def _may_leave(
        self, outgoing: Outgoing, outdated: dict[int, RecordText], bad: dict[tuple[str, str], BadAddress]
    ) -> bool:
        row, message, address = outgoing.row, outgoing.message, outgoing.address
        if row.pk in outdated:
            give_up(row, Notification.Status.CANCELLED, outdated[row.pk], left_out=message.left_out)
        elif not address and (channel := _instead(outgoing)):
            # Its channel cannot deliver any more: an app is gone, a gateway was switched off.
            put_back_untried(row, at=_within_hours(row, self.began_at), channel=channel)
        elif not address:
            give_up(row, Notification.Status.FAILED, record_text.NO_ADDRESS(channel=row.channel))
        elif marked := bad.get((row.channel, address.lower())):
            reason = record_text.BAD_ADDRESS()
            _go_another_way(row, message.recipient, reason, fault=Fault.RECIPIENT, now=self.began_at)
            if row.recipient_mentor:
                tell_of_mentor(marked, row.recipient_mentor, now=self.began_at)
        else:
            return True
        return False

    def keep_error(self, pk: int, error: Exception) -> None:
        """Try the row later, with its error: the code may be mended, or what it reads."""
        # The log gets the error's type only: a database error quotes the row.
        log.error("message broke", event_name="message_broke", notification_id=pk, error=type(error).__name__)
        needed = Notification.objects.only("organisation", "kind", "channel", "claim", "attempts", "in_doubt")
        if row := needed.filter(pk=pk, claim=self.claim, status=Notification.Status.SENDING).first():
            _try_later(row, record_text.BROKE(error=type(error).__name__), now=self.began_at)


def _log_outcomes(claimed: Sequence[int], *, seconds: float) -> None:
    """Say of each run how many of its messages came to what; `queued` is for later."""
    rows = Notification.objects.filter(pk__in=claimed).order_by("run_id", "status")
    counts: dict[UUID | None, dict[str, int]] = defaultdict(dict)
    for run_id, status, count in rows.values_list("run_id", "status").annotate(Count("pk")) if claimed else ():
        counts[run_id][status] = count
    for run_id, by_status in counts.items():
        log.info(
            "batch delivered",
            event_name="batch_delivered",
            run_id=str(run_id) if run_id else None,
            counts=by_status,
            seconds=round(seconds, 3),
        )


def _bad_addresses(found: Sequence[Outgoing]) -> dict[tuple[str, str], BadAddress]:
    addresses = {outgoing.address.lower() for outgoing in found if outgoing.address}
    marked = BadAddress.objects.filter(address__in=addresses) if addresses else BadAddress.objects.none()
    return {(bad.channel, bad.address): bad for bad in marked}


def _deliver_group(channel: Channel, host: str, group: deque[Outgoing], batch: _Batch) -> None:
    """Send what the host's rate allows, and queue the rest for when it allows more."""
    reservation = reserve(host, len(group), now=batch.began_at)
    allowed = deque(islice(group, reservation.count))
    for outgoing in islice(group, reservation.count, None):
        put_back_untried(outgoing.row, at=reservation.next_at)
    reason, fault, connections, checked = EMPTY, Fault.PROVIDER, 0, batch.seconds()
    while allowed and connections < CONNECTIONS:
        try:
            with channel.connect() as send:
                while allowed:
                    sleep(reservation.seconds_until_next())
                    if batch.seconds() - checked > FRESH_SECONDS:
                        allowed, checked = _check_again(allowed, batch), batch.seconds()
                    if allowed and _send(send, allowed.popleft(), batch):
                        connections = 0
        except Unreachable as error:
            reason, fault, connections = error.reason, error.fault, connections + 1
    for outgoing in allowed:
        recipient = outgoing.message.recipient
        _try_later(outgoing.row, reason, now=batch.began_at, fault=fault, recipient=recipient)


def _check_again(group: deque[Outgoing], batch: _Batch) -> deque[Outgoing]:
    """Return what may still leave of the group; what goes to another host by now is left to another batch."""
    known = {outgoing.row.pk: (outgoing.channel, outgoing.host) for outgoing in group}
    still = deque[Outgoing]()
    for outgoing in batch.check(list(known)):
        if known[outgoing.row.pk] == (outgoing.channel, outgoing.host):
            still.append(outgoing)
        else:
            put_back_untried(outgoing.row, at=batch.began_at)
    return still


def _send(send: Send, outgoing: Outgoing, batch: _Batch) -> bool:
    """Send one and write down what became of it; return whether it left. Raises Unreachable, for those after it."""
    row, recipient, now = outgoing.row, outgoing.message.recipient, batch.began_at
    was_in_doubt = row.in_doubt
    try:
        envelope = _envelope(outgoing.message, outgoing.address)
        if not renew(row, now=batch.now()):
            return False
        row.in_doubt = True
        send(envelope)
    except Refused as error:
        row.in_doubt = was_in_doubt
        _refuse(outgoing, error, now=now)
    except Unreachable as error:
        _try_later(row, error.reason, now=now, fault=error.fault, recipient=recipient)
        raise
    except TryLater as error:
        row.in_doubt = was_in_doubt
        after = timedelta(seconds=error.after_seconds)
        _try_later(row, error.reason, now=now, after=after, fault=error.fault, recipient=recipient)
    except SoftTimeLimitExceeded:
        raise  # what is left of the batch is queued again when its lease is over
    except Exception as error:
        # One message's trouble must not stop the batch; the row keeps it, without the address, and is tried again.
        log.error("message broke", event_name="message_broke", notification_id=row.pk, error=type(error).__name__)
        _try_later(row, record_text.BROKE(error=type(error).__name__), now=now)
    else:
        # An attempt of before may have said more.
        mark_sent(row, now=batch.now(), left_out=[] if was_in_doubt else outgoing.message.left_out)
        return True
    return False


def _envelope(message: Message, address: str) -> Envelope:
    row = message.notification
    message.links = add_secret(message.links, row)
    rendered = render_message(message)
    return Envelope(
        address=address,
        rendered=rendered,
        sender=organisation_of(message),
        message_id=row.message_id,
        written_at=timezone.now(),
        secrets=message.recipient.app_secrets,
        unsubscribe_url=message.links.preference if message.is_summary else "",
        payload=partial(payload_of, message, rendered),
    )


def _refuse(outgoing: Outgoing, error: Refused, *, now: datetime) -> None:
    _go_another_way(outgoing.row, outgoing.message.recipient, error.reason, fault=error.fault, now=now)
    if error.bad_address:
        mark_bad(outgoing.channel, outgoing.address, reason=error.reason.in_english(), now=now)
    if error.host_is_gone:
        mark_app_gone(outgoing.row.organisation, now=now)


def _try_later(
    row: Notification,
    reason: RecordText,
    *,
    now: datetime,
    after: timedelta = timedelta(),
    fault: Fault = Fault.PROVIDER,
    recipient: Recipient = NOBODY_KNOWN,
) -> None:
    if row.attempts >= settings.DELIVERY_MAX_ATTEMPTS:
        given_up = record_text.GIVEN_UP(attempts=row.attempts, reason=reason)
        _go_another_way(row, recipient, given_up, fault=fault, now=now)
        return
    pause = min(timedelta(seconds=settings.DELIVERY_RETRY_SECONDS * 2 ** (row.attempts - 1)), LONGEST_PAUSE)
    # With jitter, or what failed together would come back together.
    at = now + max(pause * random.uniform(0.75, 1.25), after)  # noqa: S311
    put_back(row, at=_within_hours(row, at), error=reason, fault=_lasting_fault(row, fault))


def _lasting_fault(row: Notification, fault: Fault) -> Fault:
    """Return whose fault it is: of a message that went another way, what closed its first one."""
    return Fault(row.fault) if row.given_up and row.fault else fault


def _go_another_way(
    row: Notification, recipient: Recipient, reason: RecordText, *, fault: Fault, now: datetime
) -> None:
    """Give a message up on its channel: the recipient's next one takes it over, unless it is the recipient's fault."""
    fault = _lasting_fault(row, fault)
    tried = [*row.given_up, row.channel]
    if fault == Fault.RECIPIENT or row.kind in ABOUT_ACCOUNTS or not (channel := next_channel(recipient, tried=tried)):
        give_up(row, Notification.Status.FAILED, reason, fault=fault)
        return
    log.warning("message goes another way", event_name="message_rerouted", notification_id=row.pk, channel=channel)
    put_back(row, at=_within_hours(row, now), attempts=0, channel=channel, given_up=tried, error=reason, fault=fault)


def _instead(outgoing: Outgoing) -> str | None:
    """Return by which channel to send what has no address on its own; who has chosen e-mail is sent nothing else."""
    row = outgoing.row
    if row.channel == EMAIL and not row.given_up:
        return None
    return next_channel(outgoing.message.recipient, tried=[*row.given_up, row.channel])


def _within_hours(row: Notification, at: datetime) -> datetime:
    return row.organisation.next_sending_time(at) if _keeps_hours(row) else at
