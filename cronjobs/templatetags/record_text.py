"""`{{ run.cause|read }}`: what the record says, in the reader's language."""

from __future__ import annotations

from django import template

from cronjobs.record_text import read

register = template.Library()
register.filter(read)
