"""The app on somebody's telephone that gives codes."""

from __future__ import annotations

from django.utils.crypto import constant_time_compare
from django_otp.plugins.otp_totp.models import TOTPDevice

from mentors.encryption import Undecryptable, decrypt, encrypt, is_current


class AuthenticatorApp(TOTPDevice):
    """Django-otp's device, whose key stands in the database encrypted and bound to its owner."""

    class Meta:
        proxy = True

    @staticmethod
    def seal(key: bytes, *, user_id: int) -> str:
        """Return what `key` holds for the key (bytes) of a user's app."""
        return encrypt(key, bound_to=f"app:{user_id}")

    @property
    def bin_key(self) -> bytes:
        """The key by which codes are verified. Raises Undecryptable."""
        return decrypt(self.key, bound_to=f"app:{self.user_id}")

    @property
    def is_sealed_anew(self) -> bool:
        """Whether the key needs none of the secrets of before."""
        return is_current(self.key, bound_to=f"app:{self.user_id}")

    def has_key(self, key: bytes) -> bool:
        """Say whether it is this app's key."""
        try:
            return constant_time_compare(self.bin_key, key)
        except Undecryptable:
            return False

    def seal_anew(self) -> None:
        """Encrypt the key by the secret of today, unless the app is gone by now. Raises Undecryptable."""
        sealed = self.seal(self.bin_key, user_id=self.user_id)
        AuthenticatorApp.objects.filter(pk=self.pk, key=self.key).update(key=sealed)
