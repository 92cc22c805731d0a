"""A load on a web server, from a process of its own: `python -m tests.bench.load URL … prints a JSON document."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import threading
import time
from itertools import cycle
from urllib.parse import urlsplit


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("urls", nargs="+", help="asked in turn by every connection")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    until = time.perf_counter() + options.seconds
    answers: list[float] = []
    threads = [
        threading.Thread(target=ask, args=(options.urls, start, until, answers)) for start in range(options.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.sort()
    print(
        json.dumps(
            {
                "per_second": len(answers) / options.seconds,
                "median_ms": answers[len(answers) // 2] * 1000,
                "p95_ms": answers[len(answers) * 95 // 100] * 1000,
            }
        )
    )


def ask(urls: list[str], start: int, until: float, answers: list[float]) -> None:
    """Ask over one connection that stays open, and note how long each answer took."""
    address = urlsplit(urls[0])
    headers = {"Authorization": f"Token {token}"} if (token := os.environ.get("TOKEN")) else {}
    connection = http.client.HTTPConnection(address.netloc, timeout=60)
    for url in cycle(urls[start % len(urls) :] + urls[: start % len(urls)]):
        began = time.perf_counter()
        if began >= until:
            break
        path = urlsplit(url)
        connection.request("GET", f"{path.path}?{path.query}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise SystemExit(f"{url} answered {response.status}: {body[:200]!r}")
        answers.append(time.perf_counter() - began)
    connection.close()


if __name__ == "__main__":
    main()
