"""The keys of apps for codes are encrypted where they stand."""

from __future__ import annotations

from typing import Any

from django.db import migrations

from mentors.encryption import Undecryptable, decrypt, encrypt


def encrypt_keys(apps: Any, schema_editor: Any) -> None:
    for device in apps.get_model("otp_totp", "TOTPDevice").objects.iterator():
        device.key = encrypt(bytes.fromhex(device.key), bound_to=f"app:{device.user_id}")
        device.save(update_fields=["key"])


def decrypt_keys(apps: Any, schema_editor: Any) -> None:
    for device in apps.get_model("otp_totp", "TOTPDevice").objects.iterator():
        try:
            device.key = decrypt(device.key, bound_to=f"app:{device.user_id}").hex()
        except Undecryptable:
            device.delete()  # no code of it could be right
        else:
            device.save(update_fields=["key"])


class Migration(migrations.Migration):
    dependencies = [
        ("mentors", "0010_invitations"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuthenticatorApp",
            fields=[],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("otp_totp.totpdevice",),
        ),
        migrations.RunPython(encrypt_keys, decrypt_keys, elidable=True),
    ]
