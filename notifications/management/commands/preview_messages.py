"""manage.py preview_messages --folder F: every message in every language, to be read before anybody gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.template.loader import render_to_string

from mentors.management.base import NattevaktCommand
from mentors.models import LANGUAGES
from notifications.messages.previews import previews
from notifications.models import Notification


class Command(NattevaktCommand):
    help = "Write every message as text and as HTML, with an index.html that leads to them. The data is invented."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--folder", required=True, type=Path, metavar="F", help="where to; it is made if need be")
        parser.add_argument("--language", choices=[code for code, _name in LANGUAGES], help="only this one")
        parser.add_argument("--kind", choices=Notification.Kind.values, metavar="KIND", help="only this one")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        languages = [options["language"]] if options["language"] else [code for code, _name in LANGUAGES]
        written = previews(languages=languages, kind=options["kind"] or "")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for preview in written:
                name = f"{preview.slug}.{preview.rendered.language}"
                text = f"{preview.rendered.subject}\n\n{preview.text}\n{preview.rendered.short}\n"
                (folder / f"{name}.html").write_text(preview.html, encoding="utf-8")
                (folder / f"{name}.txt").write_text(text, encoding="utf-8")
            index = render_to_string("notifications/preview_index.html", {"previews": written})
            (folder / "index.html").write_text(index, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{folder} cannot be written to: {error.strerror}. Choose another folder.") from error
        self.stdout.write(f"{len(written)} messages, as text and as HTML: open {folder / 'index.html'}")
