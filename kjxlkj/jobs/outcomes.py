"""How work on a job can end other than well or by an error. Raised by work, understood by `services.execute`."""

from collections.abc import Callable


class LeaseLost(Exception):
    """Somebody else may be at work on this job: stop, and leave no effect."""


class Cancelled(Exception):
    """A person asked for this job to stop."""


class Retry(Exception):
    """A fault that may pass (`rate_limited`, `timeout`, `unreachable`): try again later, a few times at most.

    `delay` (seconds) is what the other side asked for by `Retry-After`; the back-off is used if it is longer.
    When no attempt is left the job fails with `code`.
    """

    def __init__(self, code: str, detail: str, *, delay: float = 0.0) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.delay = delay


class Postponed(Exception):
    """No fault and no attempt: what the job needs is taken (a provider's slot). Come back in `delay` seconds."""

    def __init__(self, detail: str, *, delay: float) -> None:
        super().__init__(detail)
        self.detail = detail
        self.delay = delay


class Incomplete(Exception):
    """The job fails with `code`, and yet a part of it is done: `effects` commit with its end, as those of a success."""

    def __init__(self, code: str, detail: str, effects: Callable[[], None]) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.effects = effects
