"""The project's settings with data of their own, and an app with a job whose behaviour a test chooses."""

import os
from pathlib import Path

# Beside the data of an installation that may run here, never among it.
os.environ["KJXLKJ_DATA_DIR"] = str(Path(__file__).resolve().parent.parent / "var" / "tests")

from kjxlkj.settings import *  # noqa: F403 - that is what settings for tests are
from kjxlkj.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.jobs.testapp"]
