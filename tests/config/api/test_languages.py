"""What somebody reads follows the reader's language, the API's errors first; what operations read stays English."""

from __future__ import annotations

import ast
import gettext
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from importlib import import_module
from pathlib import Path

import pytest
from celery.signals import task_prerun
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils import translation
from django.utils.translation.template import templatize

from cronjobs import nightly
from cronjobs.models import Run
from mentors.models import Mentor, Organisation, User
from tests.conftest import Api, Certify

ROOT = Path(__file__).parents[3]
TRANSLATED = ("nb", "nn")
MENTORS = "/api/v1/mentors"

# Whatever these say to somebody is translated.
APPS = ("mentors", "certifications", "notifications", "cronjobs")
MODULES = ("config/unfold.py", *(f"{app}/**/*.py" for app in APPS))
TEMPLATES = sorted(ROOT.glob("*/templates/**/*.html"))
GETTEXT = {"_", "gettext", "gettext_lazy", "gettext_noop"}
WITH_CONTEXT = {"pgettext", "pgettext_lazy"}
PLURAL = {"ngettext", "ngettext_lazy"}
# What the desk shows of these is translated in config/locale where they do not do it themselves.
LIBRARIES = ("django.contrib.admin", "django.contrib.auth", "django_otp", "unfold")
PHRASES = ROOT / "mentors/record_text.py"  # what it translates is marked where it is written
CALL = re.compile(r"(?:\b_|\b(?:gettext|pgettext|ngettext)\w*)\(")
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?.")
CATALOGUES = sorted(path for path in ROOT.glob("*/locale/*/LC_MESSAGES/django.po"))

REQUESTS = [
    pytest.param(
        "get", f"{MENTORS}?colour=red", None, "unknown_parameter",
        "Parameteren finnes ikke her.", "Parameteren finst ikkje her.", "There is no such parameter here.",
        id="a parameter",
    ),
    pytest.param(
        "get", f"{MENTORS}?page_size=0", None, "invalid",
        "Skriv et helt tall fra 1 til 200.", "Skriv eit heiltal frå 1 til 200.", "Write a whole number from 1 to 200.",
        id="a bound",
    ),
    pytest.param(
        "post", f"{MENTORS}/{{mentor}}/pause", {"reason": 7}, "wrong_type",
        "Dette må være en tekst.", "Dette må vere ein tekst.", "This must be a text.",
        id="a constant made at import",
    ),
    pytest.param(
        "post", f"{MENTORS}/{{mentor}}/resume", {}, "status_forbids",
        "Likepersonen er aktiv: bare en som er satt på pause, kan gjenopptas.",
        "Likepersonen er aktiv: berre ein som er sett på pause, kan takast opp att.",
        "The mentor is active: only a paused one can be resumed.",
        id="a status",
    ),
    pytest.param(
        "post", "/api/v1/certifications", "again", "already_recorded",
        "Sertifiseringen er allerede registrert: endre den som finnes.",
        "Sertifiseringa er alt registrert: endre den som finst.",
        "It is recorded already: change that one.",
        id="the message of a refusal",
    ),
    pytest.param(
        "get", "/api/v1/nothing", None, "not_found",
        "Det er ingenting på denne adressen.", "Det er ingenting på denne adressa.",
        "There is nothing at this address.",
        id="no address",
    ),
    pytest.param(
        "post", "/api/v1/certification-cron",
        {"organisation": "hlf", "name": "nightly", "cron_expression": "61 0 * * *"}, "invalid",
        "«61» er ikke gyldig i feltet «minutt» i et cron-uttrykk: skriv 0–59.",
        "«61» er ikkje gyldig i feltet «minutt» i eit cron-uttrykk: skriv 0–59.",
        "“61” is no minute of a cron expression: write 0–59.",
        id="a field's name within a sentence",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("method", "address", "body", "code", "nb", "nn", "en"), REQUESTS)
def test_a_detail_comes_in_the_language_of_the_reader_and_its_code_never_changes(
    api: Api, olav: User, mentor: Mentor, certify: Certify, method: str, address: str, body: object, code: str,
    nb: str, nn: str, en: str,
) -> None:  # fmt: skip
    held = certify(mentor)
    same = {"mentor": mentor.pk, "type": held.type.code, "number": held.number, "issued_on": str(held.issued_on)}
    client = api(olav)

    def ask(language: str) -> tuple[str, str]:
        answer = client.generic(
            method.upper(),
            address.format(mentor=mentor.pk),
            data=json.dumps(same if body == "again" else body) if body is not None else "",
            content_type="application/json",
            headers={"Accept-Language": language},
        )
        [error] = answer.json()["errors"]
        return error["code"], error["detail"]

    assert {language: ask(language) for language in ("nb", "nn", "en")} == {
        "nb": (code, nb),
        "nn": (code, nn),
        "en": (code, en),
    }


def test_a_reader_who_names_no_language_gets_bokmaal(client: Client) -> None:
    [error] = client.get("/api/v1/nothing").json()["errors"]

    assert error["detail"] == "Det er ingenting på denne adressen."


def test_the_run_in_the_way_is_named_in_the_language_of_the_reader(api: Api, olav: User, open_run: Run) -> None:
    answer = api(olav).post(
        "/api/v1/certifications/expiry-job/run", {}, headers={"Accept-Language": "nn-NO,nn;q=0.9,en;q=0.5"}
    )

    assert answer.status_code == 409
    [error] = answer.json()["errors"]
    assert error["code"] == "run_is_open"
    assert error["detail"].startswith(f"Køyring {open_run.pk} av hlf for 2026-11-21 er framleis planlagd")


@pytest.mark.parametrize("language", ["nb", "en"])
def test_a_command_speaks_english_in_every_language(hlf: Organisation, open_run: Run, language: str) -> None:
    with translation.override(language), pytest.raises(CommandError, match="is still planned: wait until it is closed"):
        call_command("nightly", "--organisation", "hlf", "--inline", "--date", "2026-11-20")
    with translation.override(language), pytest.raises(CommandError, match="is out of range: choose a day"):
        call_command("nightly", "--organisation", "hlf", "--date", "1899-12-31")


def test_a_task_speaks_english_for_what_it_raises_is_kept(open_run: Run) -> None:
    with translation.override("nb"):
        task_prerun.send(sender=None)
        refusal = nightly.RunAlreadyOpen(open_run)

    assert "is still planned" in str(refusal)


def test_every_text_has_its_translations_with_the_same_placeholders() -> None:
    texts = set(_texts_in_the_code())

    assert len(texts) > 60
    for language in TRANSLATED:
        for app, key, text in sorted(texts):
            translated = _read_mo(app, language).get(key)
            assert translated, f"{app}/locale/{language}: {text!r} has no translation"
            said, marked = sorted(PLACEHOLDER.findall(translated)), sorted(PLACEHOLDER.findall(text))
            is_of_one = key.endswith("\0" + "0")  # "the last day" needs no number
            assert said == marked or (is_of_one and set(said) < set(marked)), (language, text)


def test_no_catalogue_keeps_what_no_code_says() -> None:
    said = {key for _app, key, _text in _texts_in_the_code()} | set(_texts_of_libraries())

    for path in CATALOGUES:
        assert _read_po(path).keys() - said - {""} == set(), path


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_compiled_is_what_is_written(path: Path) -> None:
    app, language = path.relative_to(ROOT).parts[0], path.parts[-3]

    assert _read_mo(app, language) == _read_po(path)


@pytest.fixture
def open_run(hlf: Organisation, now: datetime) -> Run:
    return nightly.claim_run(organisation=hlf, business_date=date(2026, 11, 21), trigger=Run.Trigger.MANUAL, now=now)


def _texts_in_the_code() -> Iterator[tuple[str, str, str]]:
    """Yield the app, the catalogue's key and the words of every text that is marked for translation.

    The key is the text, after its context if it has one; a plural's forms have their number behind it.
    """
    for pattern in MODULES:
        paths = sorted(ROOT.glob(pattern))
        assert paths, pattern
        for path in paths:
            yield from _texts_in(path, ast.parse(path.read_text()))
    for path in TEMPLATES:
        for call in _calls_in_template(path):
            yield from _texts_in(path, call)


def _texts_of_libraries() -> Iterator[str]:
    for name in LIBRARIES:
        folder = Path(str(import_module(name).__file__)).parent
        sources = (path.read_text() for path in folder.rglob("*.py"))
        trees: list[ast.AST] = [ast.parse(source) for source in sources if CALL.search(source)]
        trees += [call for path in folder.rglob("*.html") for call in _calls_in_template(path)]
        for tree in trees:
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    yield from _keys_of(node)


def _keys_of(call: ast.Call) -> list[str]:
    """Return the catalogue's keys of a call that translates literals; of any other call, none."""
    words = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    if words and _name(call) in GETTEXT | WITH_CONTEXT:
        return ["\4".join(words)]
    return [f"{words[0]}\0{form}" for form in (0, 1)] if len(words) >= 2 and _name(call) in PLURAL else []


def _calls_in_template(path: Path) -> Iterator[ast.AST]:
    """Yield what Django's own makemessages makes of a template, call by call: the rest of it is no Python."""
    source = templatize(path.read_text(), origin=str(path))
    for found in CALL.finditer(source):
        ends = (end.end() for end in re.finditer(r"\)", source[found.start() :]))
        yield next(call for end in ends if (call := _parse(source[found.start() : found.start() + end])))


def _parse(source: str) -> ast.AST | None:
    try:
        return ast.parse(source)
    except SyntaxError:
        return None


def _texts_in(path: Path, tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    app = path.relative_to(ROOT).parts[0]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for node in calls:
        if path == PHRASES and _name(node) == "gettext":
            continue
        if _name(node) in GETTEXT | WITH_CONTEXT:
            words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            assert len(words) == len(node.args), f"{path}:{node.lineno} translates what is no literal"
            yield app, "\4".join(map(str, words)), str(words[-1])
        elif _name(node) in PLURAL:
            singular, plural, _number = node.args
            assert isinstance(singular, ast.Constant), f"{path}:{node.lineno} translates what is no literal"
            assert isinstance(plural, ast.Constant), f"{path}:{node.lineno} translates what is no literal"
            forms = str(singular.value), str(plural.value)
            yield from ((app, f"{forms[0]}\0{number}", words) for number, words in enumerate(forms))


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _read_mo(app: str, language: str) -> dict[str, str]:
    found = gettext.translation("django", ROOT / app / "locale", [language])
    catalogue = found._catalog.items()  # type: ignore[attr-defined]
    texts = {key if isinstance(key, str) else f"{key[0]}\0{key[1]}": text for key, text in catalogue}
    return texts | {"": texts[""].strip()}


def _read_po(path: Path) -> dict[str, str]:
    """Read a catalogue: what follows a keyword, on its line and the next, belongs to it."""
    catalogue: dict[str, str] = {}
    for block in path.read_text().split("\n\n"):
        entry: dict[str, str] = {}
        keyword = ""
        for line in block.splitlines():
            if line.startswith("#") or not line:
                continue
            named, quote, quoted = line.partition('"')
            keyword = named.strip() or keyword
            entry[keyword] = entry.get(keyword, "") + ast.literal_eval(quote + quoted)
        context = f"{entry['msgctxt']}\4" if "msgctxt" in entry else ""
        key = context + entry["msgid"]
        assert not catalogue.keys() & {key, f"{key}\0{0}"}, f"{path}: {key!r} twice"
        if "msgid_plural" in entry:
            catalogue |= {f"{key}\0{form}": entry[f"msgstr[{form}]"] for form in (0, 1)}
        else:
            catalogue[key] = entry["msgstr"] if key else entry["msgstr"].strip()
    return catalogue
