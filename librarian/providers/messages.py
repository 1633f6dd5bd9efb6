"""What is asked of a model, and what comes of it."""

from dataclasses import dataclass
from decimal import Decimal

from librarian.models import Failure

_MAY_PASS = frozenset({Failure.RATE_LIMITED, Failure.TIMEOUT, Failure.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Ask:
    model: str
    system_prompt: str
    prompt: str
    max_tokens: int
    temperature: float
    max_tokens_field: str = "auto"


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer. Its texts hold neither NUL nor lone surrogates. None: the server does not say, or not credibly."""

    text: str
    model: str
    """As the server calls what answered."""
    finish_reason: str
    reasoning: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: Decimal | None
    """US dollars."""
    status: int


class ProviderFailure(Exception):
    """No usable answer. `detail` says in words what is wrong and what to do."""

    def __init__(
        self,
        category: Failure,
        detail: str,
        *,
        may_be_billed: bool,
        retry_after: float = 0.0,
        body: str = "",
        status: int | None = None,
        completion: Completion | None = None,
    ) -> None:
        super().__init__(detail)
        self.category = category
        self.detail = detail
        self.may_be_billed = may_be_billed
        """False only where the server surely did no work for it."""
        self.retry_after = retry_after
        """Seconds that the server asks to be left alone for; 0: it says nothing."""
        self.body = body
        """The beginning of what came."""
        self.status = status
        self.completion = completion
        """What is known of the answer that is not usable, its usage above all."""

    @property
    def may_pass(self) -> bool:
        """Whether the same request may do better later, or with another model."""
        return self.category in _MAY_PASS
