"""Second factors: time-based codes (RFC 6238) and recovery codes. Pure."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import pyotp

STEP_SECONDS: Final = 30
DRIFT: Final = 1
"""Steps that a phone's clock may be off."""
RECOVERY_CODES: Final = 10
ISSUER: Final = "Codeweft"
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"


def new_secret() -> str:
    """160 random bits in base 32."""
    return pyotp.random_base32()


def address(secret: str, name: str) -> str:
    """The `otpauth://` address that an authenticator app reads as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def step_of(secret: str, code: str, now: float, after: int) -> int | None:
    """The time step that `code` is for, if it is one of now and later than step `after`; None for a wrong code."""
    code = code.replace(" ", "")
    current = int(now // STEP_SECONDS)
    totp = pyotp.TOTP(secret)
    for step in range(current - DRIFT, current + DRIFT + 1):
        if step > after and secrets.compare_digest(
            totp.generate_otp(step).encode(), code.encode("utf-8", "replace")
        ):
            return step
    return None


def new_recovery_codes() -> list[str]:
    """Codes that each replace the app once, 50 random bits, written as `abcde-fghjk`."""
    return [
        "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(2))
        for _ in range(RECOVERY_CODES)
    ]


def recovery_digest(code: str) -> str:
    """What is kept of a recovery code; case, spaces and dashes do not matter."""
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()
