"""A process that uses the embedded server. Reads one JSON request a line, answers one JSON line.

{"sql": …} → {"rows": …}, over a new connection each time; {"call": "release"}; {"call": "fork"} → the child's id.
"""

import json
import os
import sys
from datetime import datetime

from django.conf import settings

if __name__ == "__main__":
    directory = sys.argv[1]
    database = {"ENGINE": "kjxlkj.embedded_postgres", "NAME": "kjxlkj", "EMBEDDED_DATA_DIR": directory}
    settings.configure(DATABASES={"default": database})

    from django.db import connection

    from kjxlkj.embedded_postgres import server


def answer(request):
    if request.get("call") == "release":
        return {"released": server.release_and_wait(directory, timeout=60)}
    if request.get("call") == "fork":
        return fork()
    with connection.cursor() as cursor:
        cursor.execute(request["sql"])
        return {"rows": cursor.fetchall() if cursor.description else []}


def fork():
    """Answers once the child runs, past everything that happens to a forked process before."""
    ear, mouth = os.pipe()
    child = os.fork()
    if not child:
        os.write(mouth, b".")
        return None
    os.read(ear, 1)
    return {"child": child}


def plain(value):
    return value.isoformat() if isinstance(value, datetime) else str(value)


def main():
    for line in sys.stdin:
        connection.close()
        try:
            said = answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            said = {"error": f"{type(error).__name__}: {error}"}
        if said is not None:
            print(json.dumps(said, default=plain), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
