"""Settings that contradict each other, found by `manage.py check` and before every command instead of at night."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import get_connection
from django.utils.module_loading import import_string

from config.redaction import describe
from cronjobs.hooks import EVENTS, find_functions
from cronjobs.monitoring import alerts
from notifications.channels import CHANNELS
from notifications.claims import LEASE
from notifications.gateway import HAS_PLACE, PLACE, Gateway, open_service, places_calls

BROKER_SCHEMES = ("redis", "rediss", "redis+socket")
BACKENDS_THAT_SEND_NOTHING = ("console", "dummy", "filebased", "locmem")


@checks.register("nattevakt")
def check_time_limits(**_kwargs: Any) -> list[checks.CheckMessage]:
    """A task must end before its work is taken as lost and started again."""
    errors: list[checks.CheckMessage] = []
    if settings.CELERY_TASK_TIME_LIMIT >= settings.VISIBILITY_TIMEOUT_SECONDS:
        errors.append(
            checks.Error(
                "CELERY_TASK_TIME_LIMIT is not below VISIBILITY_TIMEOUT_SECONDS:"
                " Redis would hand a task out again while a worker is still at it.",
                hint="Raise VISIBILITY_TIMEOUT_SECONDS, or lower CELERY_TASK_TIME_LIMIT.",
                id="nattevakt.E001",
            )
        )
    if settings.CELERY_TASK_SOFT_TIME_LIMIT >= settings.CELERY_TASK_TIME_LIMIT:
        errors.append(
            checks.Error(
                "CELERY_TASK_SOFT_TIME_LIMIT is not below CELERY_TASK_TIME_LIMIT:"
                " a task would be killed before it is asked to stop.",
                hint="Lower CELERY_TASK_SOFT_TIME_LIMIT by a minute or so.",
                id="nattevakt.E002",
            )
        )
    if LEASE.total_seconds() < settings.CELERY_TASK_TIME_LIMIT:
        errors.append(
            checks.Error(
                "CELERY_TASK_TIME_LIMIT is above the lease of a message that is being sent:"
                " the sweep would queue it again while a worker is still sending it.",
                hint="Lower CELERY_TASK_TIME_LIMIT, or raise LEASE in notifications/delivery.py.",
                id="nattevakt.E003",
            )
        )
    return errors


@checks.register("nattevakt")
def check_retries(**_kwargs: Any) -> list[checks.CheckMessage]:
    """A retry waits in a worker, and Redis counts that time too.

    NIGHTLY_STUCK_SECONDS needs no check: the ledger says until when an item waits, and an item at work is locked,
    so work that is sent twice is done once.
    """
    longest = settings.NIGHTLY_RETRY_SECONDS * 2 ** max(settings.NIGHTLY_MAX_ATTEMPTS - 2, 0)
    if settings.NIGHTLY_MAX_ATTEMPTS == 1 or longest < settings.VISIBILITY_TIMEOUT_SECONDS:
        return []
    return [
        checks.Error(
            f"The last retry of an item would wait for {longest} seconds, not below VISIBILITY_TIMEOUT_SECONDS:"
            " Redis would hand it out again and again while it waits.",
            hint="Lower NIGHTLY_MAX_ATTEMPTS or NIGHTLY_RETRY_SECONDS: each retry waits twice as long as the last.",
            id="nattevakt.E004",
        )
    ]


@checks.register("nattevakt")
def check_notification_service(**_kwargs: Any) -> list[checks.CheckMessage]:
    try:
        import_string(settings.NOTIFICATION_SERVICE)
    except ImportError as error:
        return [
            checks.Error(
                f"NOTIFICATION_SERVICE cannot be imported: {error}.",
                hint="Write the dotted path of a class, as notifications.service.DatabaseNotificationService.",
                id="nattevakt.E005",
            )
        ]
    return []


@checks.register("nattevakt")
def check_redis_url(**_kwargs: Any) -> list[checks.CheckMessage]:
    if urlsplit(settings.REDIS_URL).scheme in BROKER_SCHEMES:
        return []
    return [
        checks.Error(
            "REDIS_URL is not the address of a Redis that Celery can reach.",  # and not shown: it contains the password
            hint="Write redis://:password@host:6379/0, rediss:// with TLS, or redis+socket:///path for a Unix socket.",
            id="nattevakt.E006",
        )
    ]


@checks.register("nattevakt")
def check_gateways(**_kwargs: Any) -> list[checks.CheckMessage]:
    """The URL of a gateway contains its password, so it is not shown."""
    gateways = [channel for channel in CHANNELS.values() if isinstance(channel, Gateway) and channel.is_set_up()]
    return [error for gateway in gateways for error in _check_gateway(gateway)]


def _check_gateway(gateway: Gateway) -> list[checks.CheckMessage]:
    if not HAS_PLACE.fullmatch(gateway.url):
        return [
            checks.Error(
                f"{gateway.setting} does not have {PLACE} where the recipient's address goes, behind its host.",
                hint=f"Write it where Apprise expects the target, as service://password@host/{PLACE}.",
                id="nattevakt.E007",
            )
        ]
    service = gateway.open_example()
    if service is None:
        return [
            checks.Error(
                f"{gateway.setting} is not a URL that Apprise can read.",
                hint="Look up how the service's URL is written: https://appriseit.com/services/.",
                id="nattevakt.E008",
            )
        ]
    if places_calls(service):
        return [
            checks.Error(
                f"{gateway.setting} places calls: many of those who are written to are hard of hearing.",
                hint="Let it send text: leave out method=call, channels=call and their like.",
                id="nattevakt.E009",
            )
        ]
    return []


@checks.register("nattevakt")
def check_email_provider(**_kwargs: Any) -> list[checks.CheckMessage]:
    """A provider needs its key to send, and a secret to authenticate its reports of bounces."""
    errors: list[checks.CheckMessage] = []
    if not settings.EMAIL_PROVIDER:
        return errors
    try:
        get_connection()
    except (ImportError, ImproperlyConfigured) as error:
        errors.append(
            checks.Error(
                f"EMAIL_PROVIDER cannot be used: {' '.join(str(error).split())}",
                hint="Set what the provider needs in the variables that begin with ANYMAIL_: docs/settings.md.",
                id="nattevakt.E010",
            )
        )
    if not all(str(settings.ANYMAIL.get("WEBHOOK_SECRET", "")).partition(":")):
        errors.append(
            checks.Error(
                "ANYMAIL_WEBHOOK_SECRET is no name:password, with which the provider logs in to report bounces:"
                " without it there is no address for them.",
                hint="Choose both at random, and write https://name:password@… as the webhook's address there.",
                id="nattevakt.E011",
            )
        )
    return errors


@checks.register("nattevakt")
def check_hooks(**_kwargs: Any) -> list[checks.CheckMessage]:
    """A hook that cannot be found would fail every night; one without functions would do nothing."""
    errors: list[checks.CheckMessage] = []
    for name in settings.RUN_HOOKS:
        try:
            problem = "" if find_functions(name) else "has none of the functions " + ", ".join(EVENTS)
        except Exception as error:  # foreign code may raise anything
            problem = f"cannot be imported ({describe(error)})"
        if problem:
            errors.append(
                checks.Error(
                    f"{name} in RUN_HOOKS {problem}.",
                    hint="Write the dotted path of a module, class or instance that has one: docs/hooks.md.",
                    id="nattevakt.E012",
                )
            )
    return errors


@checks.register("nattevakt")
def check_alert_urls(**_kwargs: Any) -> list[checks.CheckMessage]:
    return [
        checks.Error(
            f"The address number {number} in ALERT_URLS is not one that Apprise can read.",  # it contains a password
            hint="Look up how the service's URL is written: https://appriseit.com/services/. Spaces stand between two.",
            id="nattevakt.E013",
        )
        for number, url in enumerate(settings.ALERT_URLS, start=1)
        if open_service(url, "") is None
    ]


@checks.register(checks.Tags.security, deploy=True)
def check_production(**_kwargs: Any) -> list[checks.CheckMessage]:
    warnings: list[checks.CheckMessage] = []
    if not settings.OPERATIONS_EMAIL:
        warnings.append(
            checks.Warning(
                "OPERATIONS_EMAIL is empty: nobody is told of a night that failed.",
                hint="Set it to an address that somebody reads every morning.",
                id="nattevakt.W001",
            )
        )
    if settings.EMAIL_BACKEND.split(".")[-2] in BACKENDS_THAT_SEND_NOTHING:
        warnings.append(
            checks.Warning(
                "EMAIL_URL sends no e-mail, but every message would be noted as sent.",
                hint="Write smtp://user:password@host:port, or submission:// for port 587 with STARTTLS.",
                id="nattevakt.W002",
            )
        )
    if not settings.PUBLIC_URL.startswith("https://"):
        warnings.append(
            checks.Warning(
                "PUBLIC_URL is no https address: messages carry no links, or some that are not safe.",
                hint="Set it to the address under which people reach the service, as https://nattevakt.example.org.",
                id="nattevakt.W003",
            )
        )
    if not settings.SECOND_FACTOR_REQUIRED:
        warnings.append(
            checks.Warning(
                "SECOND_FACTOR_REQUIRED is off: a password that others have got hold of opens the desk.",
                hint="Leave it out, or set it to true, and let everybody set up an app.",
                id="nattevakt.W005",
            )
        )
    if not alerts.routes():
        warnings.append(
            checks.Warning(
                "Neither OPERATIONS_EMAIL nor ALERT_URLS is set: nobody hears the alarm.",
                hint="Set at least one, better both, and try it: manage.py test_alert.",
                id="nattevakt.W004",
            )
        )
    return warnings
