"""For a cluster of django-q2 as it comes: its own ORM broker, which polls, and its own defaults."""

from benchmarks.settings import *  # noqa: F403 - that is what these settings are
from benchmarks.settings import Q_CLUSTER

# Its queue goes by the name of the cluster (Q_CLUSTER_NAME): ours are never taken by it.
STOCK_QUEUE = "stock"
Q_CLUSTER = {
    "name": Q_CLUSTER["name"],  # salt of the signatures: we enqueue from a process with the project's settings
    "orm": "default",
    # It warns of its own defaults for these two.
    "timeout": 60,
    "retry": 120,
    "ALT_CLUSTERS": {STOCK_QUEUE: {"workers": 2}},
    "log_level": "WARNING",
}
