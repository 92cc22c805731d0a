"""Draws the data model from the models themselves: `make data-model` writes docs/data-model.md.

A diagram for each app, as Mermaid, which GitHub draws. The tables of row histories, which triggers fill, are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import django

PICTURE = Path(__file__).parents[2] / "docs" / "data-model.md"
APPS = ("mentors", "certifications", "notifications", "cronjobs", "config")
INTRODUCTION = """\
# Data model

Drawn from the models by `make data-model`; a test checks that it is current. The [glossary](glossary.md) explains the
words.

Shown are the primary keys (PK), the foreign keys (FK), what is unique, alone or with other columns (UK), and `status`.
A `run_id` without FK stays when the run is removed. The other columns are in the models. A line under a diagram names
the tables whose changes are kept row by row, by triggers (django-pghistory).
"""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    PICTURE.write_text(draw(), encoding="utf-8")


def draw() -> str:
    """Return the document."""
    from django.apps import apps

    parts = [INTRODUCTION]
    for app in APPS:
        models = [model for model in apps.get_app_config(app).get_models() if not hasattr(model, "pgh_tracked_model")]
        if models:
            parts.append(_draw_app(app, models))
    return "\n".join(parts)


def _draw_app(app: str, models: list[Any]) -> str:
    histories = [f"`{model.__name__}`" for model in models if hasattr(model, "pgh_event_model")]
    lines = [f"## {app}", "", "```mermaid", "erDiagram", *chain.from_iterable(map(_relations, models))]
    lines += chain.from_iterable(map(_entity, models))
    lines += ["```", ""]
    if histories:
        lines += [f"With a history: {', '.join(histories)}.", ""]
    return "\n".join(lines)


def _relations(model: Any) -> Iterator[str]:
    """Yield a line for each foreign key of the model."""
    for field in model._meta.local_fields:
        if field.is_relation:
            one = "|o" if field.null else "||"
            many = "o|" if field.one_to_one else "o{"
            yield f"    {field.related_model.__name__} {one}--{many} {model.__name__} : {field.name}"


def _entity(model: Any) -> Iterator[str]:
    unique = {name for constraint in model._meta.constraints for name in getattr(constraint, "fields", ())}
    yield f"    {model.__name__} {{"
    for field in model._meta.local_fields:
        keys = [
            key
            for key, is_one in (
                ("PK", field.primary_key),
                ("FK", field.is_relation),
                ("UK", (field.unique or field.name in unique) and not field.primary_key),
            )
            if is_one
        ]
        if keys or field.name in {"status", "run_id"}:
            yield f"        {field.get_internal_type()} {field.attname} {', '.join(keys)}".rstrip()
    yield "    }"


if __name__ == "__main__":
    main()
