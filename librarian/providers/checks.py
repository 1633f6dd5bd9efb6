"""Whether the operator's settings for providers can be read, told at start rather than in the first run."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from librarian.providers.endpoints import address_fault
from librarian.providers.keys import keys_fault


def check_providers(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for word in settings.LLM_ALLOW:
        if fault := address_fault(word):
            hint = "Name the beginnings of addresses, as in 'https://llm.example.com/v1,http://10.0.0.5:8000/v1'."
            found.append(Error(f"KJXLKJ_LLM_ALLOW: {word!r}: {fault}", hint=hint, id="librarian.E001"))
    if fault := keys_fault(os.environ):
        found.append(
            Error(fault, hint="KJXLKJ_LLM_KEYS='llm.example.com=…,http://10.0.0.5:8000=…'", id="librarian.E002")
        )
    return found
