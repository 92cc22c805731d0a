"""The demonstration of the README runs."""

from __future__ import annotations

import re

import pytest

from tests.support.processes import live_environment, running


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_demonstration_does_nothing_twice() -> None:
    with running("python", "manage.py", "demo", env=live_environment(LOG_LEVEL="ERROR")) as demo:
        demo.wait_for("is active", seconds=600)
        code = demo.popen.wait(timeout=300)
        output = demo.output

    assert code == 0
    first, second = demo_counts(output)
    assert first == {"pause": 5, "remind": 11, "resume": 0}
    assert second == {"pause": 0, "remind": 0, "resume": 0}


def demo_counts(output: str) -> list[dict[str, int]]:
    found = re.findall(r"(pause|remind|resume): (\d+) planned", output)
    return [{action: int(count) for action, count in found[start : start + 3]} for start in (0, 3)]
