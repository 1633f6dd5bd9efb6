"""How a receiver knows that a delivery is ours, and of which rule."""

import hashlib
import hmac
from uuid import UUID

from django.utils.crypto import salted_hmac


def secret_of(rule_id: UUID) -> str:
    """Derived from the instance's secret key, and so in no row and no backup."""
    return salted_hmac("kjxlkj.webhook", str(rule_id), algorithm="sha256").hexdigest()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
