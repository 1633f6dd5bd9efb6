"""procrastinate, a task queue on PostgreSQL that is known to be good: what ours is measured beside.

Its schema lies in the database that is measured, which the environment names: see `contenders`.
"""

import os

from procrastinate import App, PsycopgConnector

from benchmarks import signs
from benchmarks.installation import CONNINFO

app = App(connector=PsycopgConnector(conninfo=os.environ[CONNINFO]))


@app.task
def errand(number: int | None = None) -> None:
    if number is not None:
        signs.tell_begun(number)
