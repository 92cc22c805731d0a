"""The settings of the service that the browser visits: those of production, with static files as they lie in the code.

An image collects them when it is built; here nothing is left behind in the folder of the project.
"""

from __future__ import annotations

from config.settings import *  # noqa: F403

WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600  # seconds: nothing changes while the tests are on
