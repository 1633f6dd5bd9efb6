"""For the processes that these tests start: the test run's own database, and times that can be waited for."""

import os

from tests.settings import *  # noqa: F403 - that is what settings for tests are
from tests.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["KJXLKJ_TEST_DATABASE"]

JOB_LEASE_SECONDS = 3.0
JOB_SWEEP_SECONDS = 0.5
JOB_CANARY_SECONDS = 0.5
JOB_STALL_SECONDS = 3.0
JOB_GRACE_SECONDS = 3.0
