"""Whose fault it is that a mail server refuses a message: the recipient's, ours, or the provider's.

    the recipient's ── nobody is there, or the mailbox is full: for good; only the former marks the address as bad
    ours ───────────── login, policy, reputation, a limit of our account: later, for somebody has to mend it
    the provider's ─── everything that is none of those: later

By the enhanced status code (RFC 3463, 5248, 7372, 7504, 7505), where the words do not say it better. docs/replies.md
has the replies of the commonest providers, with their sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from notifications.channel import Fault

# RFC 3463; not part of an IP address or a version.
ENHANCED_CODE = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?!\d|\.\d)")
# Of servers that say it in words only; a host that is unknown may be ours.
NOBODY_IN_WORDS = re.compile(
    r"\b55[0134]\b(?!.*\bhost)"
    r".*(no such|unknown|not exist|not found|mailbox unavailable|disabled|inactive|have an? \S+ account)",
    re.IGNORECASE,
)
# Words about who sends, or how: with any code, it is we whom they do not want.
OUR_SIDE = r"""authenti | credential | spam | unsolicited | block | black | reputation | policy | policies | violat
    | \bspf\b | \bdkim\b | \bdmarc\b | \bptr\b | \bsender\b | outbound
    | \b(helo|ehlo|client|hostname)\b | reverse\ dns | mail\ from"""
# So many messages at once, or a sender whom they do not know yet: of a delay it is nobody's fault.
GREYLISTED = re.compile(r"\bsender\b|at a rate", re.IGNORECASE)
NOT_THE_ADDRESS = re.compile(rf"{OUR_SIDE} | at\ a\ rate", re.IGNORECASE | re.VERBOSE)
# X.1.x that are about the recipient: the mailbox, the domain, the syntax, a mailbox that has moved, a null MX.
# The others are about the sender (7, 8), or a provider's own: Microsoft's 5.1.90 is the daily limit of our account.
OF_THE_ADDRESS = frozenset({"0", "1", "2", "3", "4", "6", "10"})
# A mailbox that is closed, a domain that is not there, a mailbox that is another person's by now (RFC 7293).
NOBODY_THERE = frozenset({("2", "1"), ("4", "4"), ("7", "17"), ("7", "18")})
OURS = re.compile(
    rf"""{OUR_SIDE} | \brelay | sending | daily | hourly | credits | verified
    | not\ allowed | authori[sz] | suspend | terminated | throttl
    | (limit|quota|rate)\W.*exceed | exceed.*\W(limit|rate)
    """,
    re.IGNORECASE | re.VERBOSE,
)
FULL = re.compile(r"mailbox.*full|over ?quota|storage|out of space", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    fault: Fault
    for_good: bool = False
    bad_address: bool = False


NOBODY = Verdict(fault=Fault.RECIPIENT, for_good=True, bad_address=True)
IS_FULL = Verdict(fault=Fault.RECIPIENT, for_good=True)
THEIRS_LATER = Verdict(fault=Fault.RECIPIENT)
OURS_LATER = Verdict(fault=Fault.OURSELVES)
PROVIDERS_LATER = Verdict(fault=Fault.PROVIDER)


def sort_reply(code: int, words: str) -> Verdict:
    """Say whose fault a refusal is, given the server's code and words; what is not known is the provider's.

    The words name no recipient: who is called spam@example.org is not spam.
    """
    words = " ".join(words.split())  # a reply may have several lines
    codes = [code for _class, *code in ENHANCED_CODE.findall(words) if code[0] != "0"]
    subject, detail = codes[0] if codes else ("", "")
    if code < 500:
        return _sort_delay(subject, words)
    if _is_nobody(subject, detail, words):
        return NOBODY
    if (subject, detail) == ("2", "2"):
        return IS_FULL
    if subject in {"1", "6", "7"}:  # a sender's address, the content, policy
        return OURS_LATER
    if subject in {"2", "3", "4"}:
        return OURS_LATER if OURS.search(words) else PROVIDERS_LATER
    return _sort_words(code, f"{code} {words}")


def _is_nobody(subject: str, detail: str, words: str) -> bool:
    if NOT_THE_ADDRESS.search(words):
        return False
    if (subject, detail) == ("4", "1"):  # Exchange Online, of a recipient that it does not have
        return "recipient address rejected" in words.lower()
    return (subject == "1" and detail in OF_THE_ADDRESS) or (subject, detail) in NOBODY_THERE


def _sort_delay(subject: str, words: str) -> Verdict:
    if subject == "3":  # their system is busy, whatever its limits are called
        return PROVIDERS_LATER
    if OURS.search(words) and not FULL.search(words) and not GREYLISTED.search(words):
        return OURS_LATER
    return THEIRS_LATER if subject == "2" or FULL.search(words) else PROVIDERS_LATER


def _sort_words(code: int, said: str) -> Verdict:
    """Sort a reply without an enhanced code that says something."""
    if code == 556:  # RFC 7504: the domain takes no mail
        return NOBODY
    if NOBODY_IN_WORDS.search(said) and not NOT_THE_ADDRESS.search(said):
        return NOBODY
    if OURS.search(said) or code in {530, 534, 535, 538}:
        return OURS_LATER
    return IS_FULL if code == 552 or FULL.search(said) else PROVIDERS_LATER
