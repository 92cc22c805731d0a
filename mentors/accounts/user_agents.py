"""What a browser or an app says that it is, in the two words by which its owner knows it."""

from __future__ import annotations

import re

LONGEST = 60

# The first that is found counts: most name others, too, to be taken for them.
BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\b(?:OPR|Opera)/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS|HeadlessChrome)/"),
    ("Safari", r"\bVersion/.*\bSafari/"),
)
SYSTEMS = (
    ("Android", r"\bAndroid\b"),
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Windows", r"\bWindows\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Mac", r"\bMac(?: OS X|intosh)\b"),
    ("Linux", r"\bLinux\b"),
)
PROGRAM = re.compile(r"[\w.+ -]+")  # of `Likeperson/2.1 (…)`, the name


def describe_device(user_agent: str) -> str:
    """Return `Firefox, Windows`, or the name of a program; empty if it says nothing. Anybody may claim anything."""
    user_agent = user_agent[:500]
    system = _find(SYSTEMS, user_agent)
    name = _find(BROWSERS, user_agent)
    if not name and (found := PROGRAM.match(user_agent)) and not user_agent.startswith("Mozilla/"):
        name = found[0].strip()
    return ", ".join(filter(None, (name, system)))[:LONGEST]


def _find(known: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for name, pattern in known if re.search(pattern, user_agent)), "")
