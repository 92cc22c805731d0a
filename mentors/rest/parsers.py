"""JSON in, and nothing else: bounded in depth, and Unicode throughout. `body_limit.py` bounds its size."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class BoundedJSONParser(JSONParser):
    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            body = super().parse(stream, media_type, parser_context)
            json.dumps(body, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError(_("The JSON is nested too deeply.")) from error
        except UnicodeEncodeError as error:  # JSON may escape half of a pair, and nothing could answer with it
            raise ParseError(_("The JSON has half of a surrogate pair: send Unicode.")) from error
        return body
