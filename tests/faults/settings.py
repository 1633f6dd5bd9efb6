"""For the processes that these tests start: the test run's own database, and times that can be waited for."""

import os

from tests.faults.roles import leave_notes
from tests.settings import *  # noqa: F403 - that is what settings for tests are
from tests.settings import DATABASES, JOB_TIMEOUT_SECONDS, Q_CLUSTER

# Otherwise they were given a DATABASE_URL.
if name := os.environ.get("KJXLKJ_TEST_DATABASE"):
    DATABASES["default"]["NAME"] = name

JOB_LEASE_SECONDS = 3.0
JOB_SWEEP_SECONDS = 0.5
# It is also how long a cluster that was asked late has for its answer: a busy disk may keep it for half a second.
JOB_CANARY_SECONDS = 1.0
JOB_STALL_SECONDS = 3.0
JOB_GRACE_SECONDS = 3.0
# Without the minute for messages that wait their turn: here a second delivery is one more thing to try.
JOB_REDELIVERY_SECONDS = Q_CLUSTER["retry"] = 2 * JOB_TIMEOUT_SECONDS

if folder := os.environ.get("KJXLKJ_FAULTS_ROLES"):
    leave_notes(folder)
