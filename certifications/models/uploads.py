"""A roster that was uploaded at the desk and waits for a person to say yes."""

from __future__ import annotations

import uuid

from django.db import models

from mentors.models import Organisation, User


class RosterUpload(models.Model):
    """A file between its preview and its import; removed with the import, or by the sweep after a day.

    It is full of people, so it is neither in a folder, where another web process would not find it, nor in Redis.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=200)
    content = models.BinaryField()
    uploaded_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
