"""Every address of the service, as an example each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern

GROUP = re.compile(r"\(\?P<\w+>(?:[^()]|\([^()]*\))*\)|<[^>]+>")


def every_address(example: str = "999999") -> list[str]:
    """List one address for each pattern of the resolver, with the example where a value goes."""
    return sorted({re.sub("//+", "/", f"/{path}") for path in _walk(get_resolver().url_patterns, "", example)})


def _walk(patterns: list[URLPattern | URLResolver], before: str, example: str) -> Iterator[str]:
    for pattern in patterns:
        path = GROUP.sub(example, str(pattern.pattern))
        if isinstance(pattern.pattern, RegexPattern):
            path = path.replace("/?", "").replace("\\Z", "").replace("\\", "").strip("^$")
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, before + path, example)
        else:
            yield before + path
