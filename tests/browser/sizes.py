"""How wide the browser is: a small telephone, and a usual screen."""

from __future__ import annotations

SIZES = {375: (375, 812), 1440: (1440, 900)}
