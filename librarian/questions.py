"""A request on its way to a usable answer, and what is stored of those that were on it before.

A run that is taken up again adopts the answers that it has: whatever was asked about a note as it still is, is not
asked and paid for twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

from automation.models import Run
from kjxlkj.notes.models import Note
from librarian.bundles import Bundle, Excerpt
from librarian.models import Exchange
from librarian.protocol import Fault, ProtocolError, Response, parse_response
from librarian.providers import OFFLINE

PLAN, PROPOSE, REPAIR = "plan", "propose", "validate_repair"
MOST_REPAIRS = 2
# A bound for the parser where the rule sets none: no answer is honest with more than this for each source.
OPERATIONS_PER_SOURCE = 8


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no usable answer. `may_pass`: the server may be back later; `delay`: not before, in seconds."""

    code: str
    detail: str
    may_pass: bool = False
    delay: float = 0.0


@dataclass(slots=True, eq=False)
class Question:
    """One request: its notes, and how far it has come."""

    run: Run
    index: int
    bundle: Bundle
    stage: str = PROPOSE
    exchange: Exchange | None = None
    """The one whose answer was read."""
    response: Response | None = None
    faults: tuple[Fault, ...] = ()
    """Of the newest answer, which is to be repaired."""
    repairs: int = 0
    trouble: Trouble | None = None
    is_void: bool = False
    """None of its notes may be sent any more: there is nothing to ask, and nothing wrong."""
    # Which of the provider's models is asked, how often it was, and when it may be asked again (`monotonic()`).
    model: int = 0
    tries: int = 0
    not_before: float = 0.0
    left_out: dict[UUID, str] = field(default_factory=dict)

    @property
    def request_id(self) -> str:
        return request_id(self.run, self.index, self.stage)

    @property
    def outdated(self) -> set[str]:
        """Ids of notes that the answer is about, and that have changed since: what it says of them is void."""
        told = {str(source["note_id"]) for source in self.exchange.sources} if self.exchange else set()
        return told - {str(note.id) for note in self.bundle.sources}

    @property
    def is_settled(self) -> bool:
        return self.is_void or self.response is not None or self.trouble is not None

    @property
    def next_stage(self) -> str:
        return REPAIR if self.faults else self.stage

    def hear(self, exchange: Exchange, *, strict: bool = False) -> None:
        """Read an answer that is stored: it is usable, or to be repaired, or one too many of those."""
        self.exchange = exchange
        try:
            self.response = parse_response(
                exchange.response,
                request_id=self.request_id,
                max_operations=max(1, len(exchange.sources) or len(self.bundle.excerpts)) * OPERATIONS_PER_SOURCE,
                strict=strict,
                finish_reason=exchange.finish_reason or None,
            )
        except ProtocolError as error:
            self.faults = error.faults
            if self.repairs >= MOST_REPAIRS or exchange.provider_kind == OFFLINE:
                fault = error.faults[0]
                self.trouble = Trouble(fault.code, f"answer {self.index}, line {fault.line}: {fault.message}")
            self.repairs += 1


def request_id(run: Run, index: int, stage: str = PROPOSE) -> str:
    """The same each time the run asks this, so that a stored answer fits the question."""
    return f"{run.id}-{index}" if stage == PROPOSE else f"{run.id}-{stage}-{index}"


def adopted(run: Run, sources: Sequence[Note], *, strict: bool) -> list[Question]:
    """The questions of former attempts that were answered about notes as they still are, in order.

    Of an answer about several notes of which some have changed, what it says of the others holds.
    """
    current = {str(note.id): note for note in sources}
    rows = run.exchanges.filter(stage__in=[PLAN, PROPOSE, REPAIR], failure="", answered_at__isnull=False)
    questions = []
    taken: set[UUID] = set()
    for index, exchanges in groupby(rows.order_by("index", "created_at", "attempt"), key=lambda row: row.index):
        question = _told_again(run, index, exchanges, current, strict=strict)
        if question.stage == PROPOSE:
            question.bundle = question.bundle.without(taken)
        # What is to be repaired would go back with all that it says of notes that have changed: it is asked anew.
        if question.bundle.excerpts and (question.is_settled or not question.outdated):
            questions.append(question)
            taken |= {note.id for note in question.bundle.sources if question.stage == PROPOSE}
    return questions


def _told_again(
    run: Run, index: int, exchanges: Iterable[Exchange], current: Mapping[str, Note], *, strict: bool
) -> Question:
    """The question as its answers have left it. A new answer to the whole of it starts it anew."""
    question = Question(run, index, Bundle(()))
    for exchange in exchanges:
        if exchange.stage != REPAIR:
            question = Question(run, index, Bundle(_still_true(exchange, current)), exchange.stage)
        if not question.is_settled:
            question.hear(exchange, strict=strict)
    return question


def _still_true(exchange: Exchange, current: Mapping[str, Note]) -> tuple[Excerpt, ...]:
    told = ((current.get(source["note_id"]), source) for source in exchange.sources)
    return tuple(
        Excerpt(note, note.body, bool(source["cut"]))
        for note, source in told
        if note is not None and note.version == source["version"]
    )


def numbered(
    run: Run, bundles: Iterable[Bundle], *, besides: Iterable[Question] = (), stage: str = PROPOSE
) -> list[Question]:
    """Questions for bundles, under the first numbers that those `besides` leave."""
    taken = {question.index for question in besides}
    free = (index for index in range(1 << 31) if index not in taken)
    return [Question(run, index, bundle, stage) for index, bundle in zip(free, bundles, strict=False)]
