"""Reading what mail servers send back, and whatever else comes to the address."""

from __future__ import annotations

import random

import pytest

from notifications.bounce_reports import LONGEST, Outcome, read_reports
from tests.support.bounces import SAMPLES, sample


class TestReading:
    @pytest.mark.parametrize(
        ("name", "outcome", "addresses", "reason"),
        [
            ("postfix_unknown", Outcome.BAD_ADDRESS, {"liv@example.org"}, "550 5.1.1 <liv@example.org>: Recipient"),
            ("postfix_delayed", Outcome.DELAYED, {"liv@example.org"}, "connect to mx.example.org[192.0.2.25]:25:"),
            ("exchange_not_found", Outcome.BAD_ADDRESS, {"Liv@example.org", "liv@example.org"}, "550 5.1.10 RESOLVER"),
            ("outlook_full", Outcome.LOST, {"liv@example.org"}, "550 5.2.2 <liv@example.org>... Mailbox Full"),
            (
                "gmail_forwarded",
                Outcome.BAD_ADDRESS,
                {"liv.privat@example.com", "liv@example.org"},
                "550-5.1.1 The email account that you tried to reach does not exist.",
            ),
        ],
    )
    @pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
    def test_what_the_mail_servers_send_is_understood(
        self, name: str, outcome: Outcome, addresses: set[str], reason: str, line_end: bytes
    ) -> None:
        raw = sample(name, "<1.a@example.org>").replace(b"\n", line_end)

        (found,) = read_reports(raw)

        assert found.message_ids[0] == "<1.a@example.org>"
        assert set(found.addresses) == addresses
        assert found.outcome == outcome
        assert found.reason.startswith(reason)

    @pytest.mark.parametrize(
        ("status", "diagnostic"),
        [
            ("5.1.1", "smtp; 550-5.1.1 The email account that you tried to reach does not exist."),
            ("5.0.0", "smtp; 550 5.1.1 User unknown"),
            ("5.0.0", "smtp; 550 No such user here"),
            ("5.1.2", ""),
            ("5.2.1", "smtp; 550 5.2.1 The email account that you tried to reach is disabled"),
            ("5.4.1", "smtp;550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"),
            ("5.4.4", "X-Postfix; Host or domain name not found. Name service error: Host not found"),
            ("5.5.0", "smtp;550 5.5.0 Requested action not taken: mailbox unavailable"),
            ("5.0.0", "smtp; 554 delivery error: dd This user doesn't have a yahoo.com account"),
        ],
    )
    def test_an_address_at_which_nobody_is(self, status: str, diagnostic: str) -> None:
        (found,) = read_reports(delivery_status(status=status, diagnostic=diagnostic))

        assert found.outcome == Outcome.BAD_ADDRESS

    @pytest.mark.parametrize(
        ("status", "diagnostic"),
        [
            ("4.4.7", "smtp; 550 4.4.7 Message expired"),
            ("4.1.1", "smtp; 450 4.1.1 Recipient address rejected: unverified address"),
            ("4.2.1", "smtp; 450 4.2.1 The account is disabled for now"),
            ("4.2.2", "smtp; 452 4.2.2 The account is over quota"),
            ("5.2.2", "smtp; 552 5.2.2 The account that you tried to reach is over quota, try 5.1.1"),
            ("5.2.1", "smtp; 550 5.2.1 The user is receiving mail at a rate that prevents additional messages"),
            ("5.7.1", "smtp; 554 5.7.1 Relay access denied"),
            ("5.7.1", "smtp; 550 5.7.1 Recipient address rejected: Access denied"),
            ("5.4.1", "smtp; 550 5.4.1 No answer from host 5.1.1.20"),
            ("5.1.8", "smtp; 550 5.1.8 Domain not found"),
            ("5.1.0", "smtp; 550 5.1.0 Sender address rejected: User unknown in virtual mailbox table"),
            ("5.0.0", "smtp; 550 Requested action not taken"),
            ("5.3.4", "smtp; 552 5.3.4 Message size exceeds fixed limit"),
            ("", ""),
        ],
    )
    def test_a_reason_that_says_nothing_of_the_address(self, status: str, diagnostic: str) -> None:
        (found,) = read_reports(delivery_status(status=status, diagnostic=diagnostic))

        assert found.outcome == Outcome.LOST

    @pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "", "5.1.1"])
    def test_good_news_is_no_bounce(self, action: str) -> None:
        assert read_reports(delivery_status(action=action)) == []

    def test_the_internationalised_form_is_read_too(self) -> None:
        raw = sample("postfix_unknown", "<1.a@example.org>")
        raw = raw.replace(b"message/delivery-status", b"message/global-delivery-status")
        raw = raw.replace(b"message/rfc822", b"message/global")

        (found,) = read_reports(raw)

        assert (found.message_ids[0], found.outcome) == ("<1.a@example.org>", Outcome.BAD_ADDRESS)

    def test_a_report_inside_of_a_returned_message_is_not_the_servers_word(self) -> None:
        inner = sample("postfix_unknown", "<1.a@example.org>")
        forged = b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/rfc822\n\n" + inner

        assert read_reports(forged) == []

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\0" * 1000,
            b"Subject: Takk for sist!\n\nHei",
            b"Content-Type: multipart/report; report-type=delivery-status\n\nno parts",
            b"Content-Type: multipart/report; boundary=x\n\n--x\nContent-Type: message/delivery-status\n\n"
            + b"\n" * 9999,
            b"Content-Type: multipart/report; boundary*0*=x'\xff\n\n--x\n",
            b"Content-Type: message/rfc822\n\n" * 9000,
            b"".join(b'Content-Type: multipart/report; boundary="%d"\n\n--%d\n' % (i, i) for i in range(5000)),
            b"x" * (10 * LONGEST),
        ],
        ids=["empty", "NUL", "mail", "no parts", "blank", "charset", "nested", "deep", "huge"],
    )
    def test_what_is_no_report_is_none(self, raw: bytes) -> None:
        assert read_reports(raw) == []

    def test_one_made_of_so_many_parts_that_reading_takes_long_is_not_read(self) -> None:
        raw = sample("postfix_unknown", "<1.a@example.org>")
        nested = b"".join(b'\n--x%d\nContent-Type: multipart/mixed; boundary="x%d"\n' % (i, i + 1) for i in range(20))

        assert len(read_reports(raw)) == 1
        assert read_reports(raw + nested) == []

    def test_no_damage_to_a_report_raises(self) -> None:
        dice = random.Random(4)
        for name in sorted(file.stem for file in SAMPLES.glob("*.eml")):
            whole = bytearray(sample(name, "<1.a@example.org>"))
            for _ in range(150):
                damaged = whole.copy()
                for _ in range(dice.randrange(1, 30)):
                    start = dice.randrange(len(damaged))
                    damaged[start : start + dice.randrange(4)] = dice.randbytes(dice.randrange(4))

                assert len(read_reports(bytes(damaged[: dice.randrange(len(damaged))]))) <= 10

    def test_the_addresses_of_a_report_are_few(self) -> None:
        group = b"\nFinal-Recipient: rfc822; liv@example.org\nAction: failed\nStatus: 5.1.1\n"
        raw = sample("postfix_unknown", "<1.a@example.org>").replace(b"\nFinal-Recipient", group * 500 + b"\nFinal-R")

        assert len(read_reports(raw)) <= 11


def delivery_status(*, action: str = "failed", status: str = "5.1.1", diagnostic: str = "") -> bytes:
    return (
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n"
        "--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.example.org\n\n"
        f"Final-Recipient: rfc822; liv@example.org\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: {diagnostic}\n\n--x--\n"
    ).encode()
