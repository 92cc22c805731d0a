"""The channels, one a file, found by their file's name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from django_stubs_ext import StrPromise

from notifications.channel import Channel

# Those that the service itself writes to.
EMAIL, INBOX, OPERATIONS = "email", "inbox", "operations"

CHANNELS: dict[str, Channel] = {
    module.name: import_module(f"{__name__}.{module.name}").CHANNEL
    for module in iter_modules(__path__)
    if not module.name.startswith("_")
}


def channel_choices() -> list[tuple[str, StrPromise]]:
    return [(code, channel.label) for code, channel in CHANNELS.items()]


def personal_channel_choices() -> list[tuple[str, StrPromise]]:
    return [(code, channel.label) for code, channel in CHANNELS.items() if channel.is_personal]
