"""Questions to a server, several at once: asked, stored, read, repaired, repeated, put to the next model.

All rows are written by the run's own thread, in the order of events; only the waiting is done elsewhere.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from time import monotonic, sleep

from django.conf import settings

from automation.models import Run
from kjxlkj.errors import Invalid
from kjxlkj.jobs.lease import Lease
from kjxlkj.jobs.outcomes import Postponed
from kjxlkj.jobs.slots import slots
from librarian.exchanges import excluded_by_now, open_exchange, sources_json, store_answer, store_failure
from librarian.models import Exchange, Failure
from librarian.plan import Plan
from librarian.planning.prompts import outline_prompt, propose_prompt, repair_prompt
from librarian.planning.tokens import estimated_tokens, looks_truncated
from librarian.prompt_pack import Pack
from librarian.providers.chat import Ask, Chat, Completion, ProviderFailure
from librarian.providers.endpoints import Endpoint
from librarian.questions import PLAN, Question, Trouble

# Of one model, at once; a server that is away for longer is waited for by the run, without a worker.
_TRIES = 3
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0
# How long an event may go unnoticed: a cancel, a question whose pause is over.
_LOOK_SECONDS = 0.5
# What is left of a worker's time when no further request is begun, beside the request's own.
_SPARE_SECONDS = 60.0

# These say something of the server, and not of the one request.
_OF_THE_SERVER = frozenset({Failure.UNREACHABLE, Failure.RATE_LIMITED, Failure.AUTH_FAILED})


class Asking:
    """Asks the server of one run. `warnings` gathers what a report should tell. Its time is the worker's: one for all
    that the run asks in an attempt."""

    def __init__(self, run: Run, lease: Lease, plan: Plan, pack: Pack, endpoint: Endpoint) -> None:
        self.run, self.lease, self.plan, self.pack, self.endpoint = run, lease, plan, pack, endpoint
        self.warnings: list[str] = []
        self._began = monotonic()
        self._has_asked = False
        self._waiting: deque[Question] = deque()
        self._flying: dict[Future[Completion], tuple[Question, Exchange, float]] = {}

    def settle(self, questions: Sequence[Question]) -> None:
        """Ask until each has a response or a trouble. Raises Postponed where no slot is free, or for want of time."""
        self._waiting.extend(question for question in questions if not question.is_settled)
        if not self._waiting:
            return
        most = settings.PROVIDER_SLOTS[self.endpoint.kind]
        seconds = self.plan.provider.timeout_ms / 1000
        resource = f"provider {self.endpoint.kind} {self.endpoint.host}"[-100:]
        with (
            slots(self.lease, resource, most, wanted=len(self._waiting)) as width,
            Chat(self.endpoint, timeout_seconds=seconds) as chat,
        ):
            while self._waiting or self._flying:
                self.lease.check()
                self._launch(chat, width)
                self._listen()
                settled = sum(len(question.bundle.excerpts) for question in questions if question.is_settled)
                self.lease.progress(settled, self.lease.reported.total, "Asking the model")
        if any(not question.is_settled for question in questions):
            raise Postponed("The worker's time is over: the run goes on in a moment, with what it has.", delay=1)

    # --- Asking -----------------------------------------------------------------------------------

    def _launch(self, chat: Chat, width: int) -> None:
        spent, seconds = monotonic() - self._began, self.plan.provider.timeout_ms / 1000
        # Something is asked in each attempt, or a run would come back for ever without having asked anything.
        if self._has_asked and spent + seconds + _SPARE_SECONDS > settings.JOB_TIMEOUT_SECONDS:
            self._waiting.clear()
        for _ in range(len(self._waiting)):
            if len(self._flying) >= width or not self._waiting:
                return
            question = self._waiting.popleft()
            if question.not_before > monotonic():
                self._waiting.append(question)
            else:
                self._ask(chat, question)

    def _ask(self, chat: Chat, question: Question) -> None:
        self._take_out_what_may_not_be_sent(question)
        if not question.bundle.excerpts:
            question.is_void = True
            return
        ask = self._worded(question)
        exchange = self._row(question, ask)
        try:
            open_exchange(exchange, question.bundle, self.plan.provider, self.plan.limits, self.lease)
        except Invalid as refused:
            # Nobody else is asked, either: what is under way comes to its end.
            self._give_up([question, *self._waiting], Trouble(refused.code, refused.message))
            return
        self._flying[chat.submit(ask)] = (question, exchange, monotonic())
        self._has_asked = True

    def _take_out_what_may_not_be_sent(self, question: Question) -> None:
        excluded = excluded_by_now(question.bundle, is_local=self.endpoint.is_local)
        if excluded:
            question.left_out |= {
                note.id: "its front matter, or its deletion, keeps it here by now"
                for note in question.bundle.sources
                if note.id in excluded
            }
            question.bundle = question.bundle.without(excluded)
            question.faults = ()  # an answer that speaks of it is not sent, either

    def _worded(self, question: Question) -> Ask:
        provider, stage = self.plan.provider, self.pack.stages[question.next_stage]
        if question.faults and question.exchange:
            texts = repair_prompt(self.pack, question.faults, question.exchange.response, question.request_id)
        elif question.stage == PLAN:
            texts = outline_prompt(self.pack, self.plan, question.bundle.sources, question.request_id)
        else:
            texts = propose_prompt(self.pack, self.plan, question.bundle, question.request_id)
        return Ask(
            model=provider.models[question.model],
            system_prompt=texts[0],
            prompt=texts[1],
            max_tokens=provider.max_tokens or stage.max_tokens,
            temperature=stage.temperature if provider.temperature is None else provider.temperature,
            max_tokens_field=provider.max_tokens_field,
        )

    def _row(self, question: Question, ask: Ask) -> Exchange:
        return Exchange(
            run=self.run,
            stage=question.next_stage,
            index=question.index,
            provider_kind=self.endpoint.kind,
            host=self.endpoint.host,
            model=ask.model,
            parameters={"max_tokens": ask.max_tokens, "temperature": ask.temperature, "pack": self.pack.version},
            sources=sources_json(question.bundle),
            system_prompt=ask.system_prompt,
            prompt=ask.prompt,
            estimated_tokens=estimated_tokens(ask.system_prompt) + estimated_tokens(ask.prompt),
        )

    # --- Hearing ----------------------------------------------------------------------------------

    def _listen(self) -> None:
        if not self._flying:
            pause = min((question.not_before for question in self._waiting), default=0.0) - monotonic()
            sleep(max(0.0, min(pause, _LOOK_SECONDS)))
            return
        done, _ = wait(self._flying, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            question, exchange, began = self._flying.pop(future)
            exchange.latency_ms = round((monotonic() - began) * 1000)
            fault = future.exception()
            if isinstance(fault, ProviderFailure):
                store_failure(exchange, fault, self.lease)
                self._failed(question, fault)
            else:
                store_answer(exchange, future.result(), self.plan.provider, self.lease)
                self._answered(question, exchange)

    def _answered(self, question: Question, exchange: Exchange) -> None:
        if looks_truncated((exchange.system_prompt, exchange.prompt), exchange.prompt_tokens or None):
            self.warnings.append(
                f"Request {exchange.index}: {exchange.host} says that it read {exchange.prompt_tokens:,} tokens, and"
                f" about {exchange.estimated_tokens:,} were sent: it seems to have cut the prompt. Load the model with"
                " a larger context, or lower the rule's context_tokens."
            )
        question.hear(exchange, strict=self.plan.strict_mode)
        question.model, question.tries = 0, 0
        if not question.is_settled:
            self._waiting.appendleft(question)

    def _failed(self, question: Question, fault: ProviderFailure) -> None:
        """Again, or the next model, or nobody is left."""
        question.tries += 1
        pause = max(fault.retry_after, _FIRST_PAUSE * 2.0 ** (question.tries - 1))
        if fault.may_pass and question.tries < _TRIES and pause <= _LONGEST_PAUSE:
            question.not_before = monotonic() + pause
            self._waiting.append(question)
        elif question.model + 1 < len(self.plan.provider.models) and fault.category != Failure.AUTH_FAILED:
            question.model, question.tries, question.not_before = question.model + 1, 0, 0.0
            self._waiting.appendleft(question)
        else:
            trouble = trouble_of(fault)
            self._give_up([question], trouble)
            if fault.category in _OF_THE_SERVER:
                self._give_up(self._waiting, trouble)

    def _give_up(self, questions: Iterable[Question], trouble: Trouble) -> None:
        for question in list(questions):
            question.trouble = trouble
            if question in self._waiting:
                self._waiting.remove(question)


def trouble_of(fault: ProviderFailure) -> Trouble:
    code = "LLM_PROVIDER_UNREACHABLE" if fault.category == Failure.UNREACHABLE else "LLM_UPSTREAM_ERROR"
    return Trouble(code, f"{fault.category}: {fault.detail}", fault.may_pass, fault.retry_after)
