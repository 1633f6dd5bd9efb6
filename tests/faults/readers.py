"""Those who wait for events at a real web server."""

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlencode


class Reader(threading.Thread):
    """Asks as a client should, on one connection: with the last cursor, after the pause it is asked for.

    `enough`: so many events end it. It bears what a client must bear: a server that goes away, and comes back.
    """

    def __init__(self, port: int, token: str, *, enough: int, wait: int = 25, **parameters: Any) -> None:
        super().__init__(daemon=True)
        self.events: list[dict[str, Any]] = []
        self.pauses = 0
        self.answers = 0
        self.broken = 0
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Token {token}"}
        self._enough = enough
        self._parameters = {"after": "latest", "wait": wait, **parameters}

    def run(self) -> None:
        while len(self.events) < self._enough:
            try:
                self._ask()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                self._connection.close()
                time.sleep(0.2)

    def _ask(self) -> None:
        self._connection.request("GET", f"/api/events?{urlencode(self._parameters)}", headers=self._headers)
        response = self._connection.getresponse()
        page = json.loads(response.read())
        if response.status != 200:
            raise http.client.HTTPException(f"{response.status} {page}")
        self.answers += 1
        self.events += page["results"]
        self._parameters.pop("after", None)
        self._parameters["cursor"] = page["cursor"]
        if pause := response.headers.get("Retry-After"):
            self.pauses += 1
            time.sleep(int(pause))
