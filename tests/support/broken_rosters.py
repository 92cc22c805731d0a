"""Rosters that are broken, or made to cost more than they look: by name, and by a seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from io import BytesIO
from random import Random
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile

import openpyxl

from tests.support.roster import HEADER, LIV, line

SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
STYLES = "xl/styles.xml"


def good_xlsx(*lines: str) -> bytes:
    """A workbook of a few lines, as a spreadsheet program packs it."""
    book = openpyxl.Workbook()
    assert book.active
    for row in (HEADER, *(lines or (LIV,))):
        book.active.append(row.split(","))
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def members_of(archive: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(archive)) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def pack(members: dict[str, bytes], method: int = ZIP_DEFLATED) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_rows(xml: bytes) -> bytes:
    """A good workbook with other rows below its first."""
    members = members_of(good_xlsx())
    return pack(members | {SHEET: members[SHEET].replace(b"</sheetData>", xml + b"</sheetData>")})


def with_doctype(doctype: bytes) -> bytes:
    """A good workbook whose sheet declares entities, and has &z; in a cell."""
    members = members_of(good_xlsx())
    cell = b'<row r="3"><c r="A3" t="inlineStr"><is><t>&z;</t></is></c></row></sheetData>'
    return pack(members | {SHEET: doctype + members[SHEET].replace(b"</sheetData>", cell)})


def billion_laughs() -> bytes:
    entities = b'<!ENTITY a "lol">' + b"".join(
        b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in range(ord("b"), ord("z") + 1)
    )
    return with_doctype(b"<!DOCTYPE lol [" + entities + b"]>")


def external_entity() -> bytes:
    return with_doctype(b'<!DOCTYPE x [<!ENTITY z SYSTEM "file:///etc/passwd">]>')


def far_row(number: int) -> bytes:
    return with_rows(b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (number, number))


def many_cells(count: int) -> bytes:
    """One row that parses into so many elements, all of which are in memory before the row is done."""
    return with_rows(b"<row>" + b"<c/>" * count + b"</row>")


def deep_cells(depth: int) -> bytes:
    return with_rows(b"<row>" + b"<c>" * depth + b"</c>" * depth + b"</row>")


def many_members(count: int) -> bytes:
    return pack(members_of(good_xlsx()) | {f"xl/media/{number}.png": b"" for number in range(count)})


def repeated_text(cells: int, length: int) -> bytes:
    """One shared string that so many lines have as a name: what is small in the file and large when it is read."""
    rows = [line(mentor_ref=f"M{number}", name="x" * length) for number in range(cells)]
    return good_xlsx(*rows)


# By a seed

NUMBERS = ("-1", "0", "1e308", "-1e-320", "1" * 5000, "99999999999999999999", "NaN", "inf", "0x1F", "٣", "1.5", "")
TEXTS = ("\u202e", "\ufeff", "\u200b", "Å", "=1+1", '"', "'", ";", ",", "\t", "x" * 2000, "\U0001f600", "&amp;", "]]>")


def broken_roster(seed: int) -> tuple[str, bytes]:
    """Return the name and the content of a file: a good one to which something was done, once or a few times."""
    random = Random(seed)
    lines = [line(mentor_ref=f"M{number}", number=f"C{number}") for number in range(random.choice((1, 3, 40)))]
    if random.random() < 0.4:
        content = _encode("\n".join([HEADER, *lines]), random)
        for _once in range(random.randint(1, 3)):
            content = random.choice(OF_BYTES)(content, random)
        return f"{seed}.csv", content
    members = members_of(good_xlsx(*lines))
    for _once in range(random.randint(1, 3)):
        name = random.choice([SHEET, SHEET, *members])
        members[name] = random.choice(OF_XML)(members.get(name, b""), random)
    if random.random() < 0.2:
        members = _swap(members, random)
    content = pack(members, random.choice((ZIP_DEFLATED, ZIP_DEFLATED, ZIP_DEFLATED, ZIP_STORED, ZIP_BZIP2, ZIP_LZMA)))
    if random.random() < 0.3:
        content = random.choice(OF_BYTES)(content, random)
    return f"{seed}.xlsx", content


def _encode(text: str, random: Random) -> bytes:
    text = text.replace(",", random.choice(",,;\t|")).replace("\n", random.choice(("\n", "\r\n", "\r", "\x85", "\n\n")))
    return text.encode(
        random.choice(("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7", "cp037", "cp1252")), "replace"
    )


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _once in range(random.choice((1, 5, 50))):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _drop(content: bytes, random: Random) -> bytes:
    begin, end = sorted(random.randrange(len(content) + 1) for _end in range(2))
    return content[:begin] + content[end:]


def _repeat(content: bytes, random: Random) -> bytes:
    begin = random.randrange(len(content) + 1)
    part = content[begin : begin + random.choice((1, 10, 1000))]
    return content[:begin] + part * random.choice((2, 100, 2000)) + content[begin:]


def _insert(content: bytes, random: Random) -> bytes:
    place = random.randrange(len(content) + 1)
    added = random.choice((random.choice(TEXTS).encode(), random.randbytes(8), bytes(1000), b"\x00", b"\n" * 70_000))
    return content[:place] + added + content[place:]


def _change_number(content: bytes, random: Random) -> bytes:
    return _substitute(rb'(?<=")[0-9]+(?=")|(?<=>)[0-9.]+(?=<)', random.choice(NUMBERS), content, random)


def _change_attribute(content: bytes, random: Random) -> bytes:
    value = random.choice((*NUMBERS, "s", "inlineStr", "d", "e", "b", "A1", "ZZZZZZ1", "A0", "A6000000", "XFD1048576"))
    return _substitute(rb'(?<=")[^"<>]*(?=")', value, content, random)


def _change_text(content: bytes, random: Random) -> bytes:
    return _substitute(rb"(?<=>)[^<>]+(?=<)", random.choice((*TEXTS, *NUMBERS)), content, random)


def _change_tag(content: bytes, random: Random) -> bytes:
    return _substitute(
        rb"(?<=<)/?[A-Za-z]+", random.choice(("c", "row", "/row", "v", "is", "t", "x:y")), content, random
    )


def _substitute(pattern: bytes, by: str, content: bytes, random: Random) -> bytes:
    places = list(re.finditer(pattern, content))
    if not places:
        return content
    place = random.choice(places)
    return content[: place.start()] + by.encode() + content[place.end() :]


def _nest(content: bytes, random: Random) -> bytes:
    tag, depth = random.choice((b"c", b"row", b"is", b"ext", b"sheetData")), random.choice((10, 1000, 50_000))
    place = content.find(b">", random.randrange(len(content) + 1)) + 1
    return content[:place] + b"<%s>" % tag * depth + b"</%s>" % tag * depth + content[place:]


def _declare(content: bytes, random: Random) -> bytes:
    entity = random.choice((b'z "lol"', b'z SYSTEM "file:///etc/passwd"', b'% z SYSTEM "http://127.0.0.1:9/"'))
    return b"<!DOCTYPE x [<!ENTITY " + entity + b">]>" + content.replace(b"</", random.choice((b"&z;</", b"</")), 1)


def _recode(content: bytes, random: Random) -> bytes:
    encoding = random.choice(("utf-16", "utf-16-be", "utf-32", "latin-1", "cp037", "utf-7"))
    declared = random.choice(
        ("", f'<?xml version="1.0" encoding="{encoding}"?>', '<?xml version="1.0" encoding="big5"?>')
    )
    return (declared + content.decode("utf-8", "replace")).encode(encoding, "replace")


def _claim_dimension(content: bytes, random: Random) -> bytes:
    area = random.choice((b"A1:XFD1048576", b"A1", b"ZZZ9999999:A1", b"", b"A0:B0", b"A1:A1,B2", b"1:1", b"A:A"))
    return re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="%s"' % area, content)


def _swap(members: dict[str, bytes], random: Random) -> dict[str, bytes]:
    one, other = random.sample(sorted(members), 2)
    if random.random() < 0.3:
        return {name: content for name, content in members.items() if name != one}
    return members | {one: members[other], other: members[one]}


Change = Callable[[bytes, Random], bytes]
OF_BYTES: Sequence[Change] = (_flip, _cut, _drop, _repeat, _insert)
OF_XML: Sequence[Change] = (
    *OF_BYTES, _change_number, _change_attribute, _change_attribute, _change_text, _change_tag, _nest, _declare,
    _recode, _claim_dimension,
)  # fmt: skip
