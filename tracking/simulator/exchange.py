"""What goes on in the network? One account's calls, from acceptance to the last webhook."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from secrets import token_hex

from tracking.simulator.calls import Call, Step, ledger_entry, script
from tracking.simulator.courier import Courier
from tracking.simulator.orders import Order
from tracking.simulator.outcomes import Delivery, Event, Outcome, Status
from tracking.simulator.refusals import NOT_IN_PROGRESS, RefusedError
from tracking.simulator.webhooks import Webhook, status_webhook


class Exchange:
    """Lives on one event loop; only the thread of that loop may use it."""

    def __init__(
        self, *, account_sid: str, auth_token: str, speed: float = 1.0, late_answer: float = 30.0
    ) -> None:
        """The late answer is in the carrier's seconds, of which `speed` go into a real one."""
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.late_answer = late_answer
        self._speed = speed
        self._courier = Courier(auth_token)
        self._closing = asyncio.Event()
        self._calls: dict[str, Call] = {}
        self._calls_by_to: dict[str, list[Call]] = {}
        self._refusals: Counter[str] = Counter()
        self._timers: dict[Call, asyncio.TimerHandle] = {}
        self._outboxes: dict[Call, deque[Webhook]] = {}
        self._held_back: dict[Call, list[Webhook]] = {}
        self._posting: dict[Call, asyncio.Task[None]] = {}

    # -- placing ---------------------------------------------------------------------------------

    def turns_away(self, order: Order, outcome: Outcome) -> bool:
        """Whether this create is refused; each refusal counts towards the number's share."""
        if self._refusals[order.to] >= outcome.refuses:
            return False
        self._refusals[order.to] += 1
        return True

    def place(self, order: Order, outcome: Outcome) -> Call:
        """Accept a call: from here on it counts, whatever the client gets to hear."""
        now = time.time()
        call = Call(f"CA{token_hex(16)}", len(self._calls), order, outcome, now, now)
        self._calls[call.sid] = call
        self._calls_by_to.setdefault(order.to, []).append(call)
        steps = iter(script(outcome, order))
        self._await_next(call, steps, asyncio.get_running_loop().time())
        return call

    def hang_up(self, call: Call, wish: Status) -> None:
        """End a call early; a cancel leaves an answered one alone.

        Raises RefusedError where the call is over."""
        if call.is_final:
            raise RefusedError(NOT_IN_PROGRESS)
        if call.status != Status.IN_PROGRESS:
            self._end(call, Status.CANCELED, sip=487)
        elif wish == Status.COMPLETED:
            talked = (time.time() - (call.answered_at or 0)) * self._speed
            self._end(call, Status.COMPLETED, sip=200, talked=int(talked))

    # -- looking ---------------------------------------------------------------------------------

    def call(self, sid: str) -> Call | None:
        """The call of that SID."""
        return self._calls.get(sid)

    def listed(self, to: str | None = None) -> Sequence[Call]:
        """The calls that a list may show by now, oldest first."""
        calls = self._calls.values() if to is None else self._calls_by_to.get(to, ())
        now = time.time()
        return [
            call
            for call in calls
            if call.created_at + call.outcome.listed_after / self._speed <= now
        ]

    def calls(self) -> list[Call]:
        """Every accepted call, oldest first."""
        return list(self._calls.values())

    @property
    def accepted(self) -> int:
        """How many creates were accepted."""
        return len(self._calls)

    def ledger(self, *, with_calls: bool = True) -> dict[str, object]:
        """What was accepted and what was refused, for people and tests."""
        counts: dict[str, object] = {
            "accepted": self.accepted,
            "refused": self._refusals.total(),
            "live": len(self._timers),
            "posting": len(self._posting),
            "by_to": {to: len(calls) for to, calls in self._calls_by_to.items()},
        }
        if with_calls:
            counts["calls"] = [ledger_entry(call) for call in self._calls.values()]
        return counts

    # -- waiting ---------------------------------------------------------------------------------

    async def pause(self, seconds: float) -> None:
        """Let seconds of the carrier's clock go by, or fewer if the carrier closes."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds / self._speed)
        except TimeoutError:
            return

    async def delivered(self, call: Call) -> None:
        """Wait until what the call has told so far has arrived or failed."""
        if posting := self._posting.get(call):
            await asyncio.wait({posting})

    async def idle(self) -> None:
        """Wait until no call is live and no webhook is under way."""
        while self._timers or self._posting:
            await asyncio.sleep(0.005)

    # -- ending ----------------------------------------------------------------------------------

    def forget(self) -> None:
        """Empty the ledger; live calls end unheard."""
        for timer in self._timers.values():
            timer.cancel()
        for posting in self._posting.values():
            posting.cancel()
        for memory in (
            self._calls,
            self._calls_by_to,
            self._refusals,
            self._timers,
            self._outboxes,
            self._held_back,
            self._posting,
        ):
            memory.clear()

    def stop(self) -> None:
        """Let go of every answer held back and of every webhook; nothing new begins."""
        self._closing.set()
        self.forget()

    async def close(self) -> None:
        """Give up the connections to the receivers."""
        await self._courier.close()

    # -- a call's life ---------------------------------------------------------------------------

    def _await_next(self, call: Call, steps: Iterator[Step], began: float) -> None:
        """Let the loop's clock wake the call for its next step."""
        step = next(steps, None)
        if step is None:
            return
        if step.after == 0:
            self._take(call, step, steps, began)
        else:
            due = began + step.after / self._speed
            self._timers[call] = asyncio.get_running_loop().call_at(
                due, self._take, call, step, steps, began
            )

    def _take(self, call: Call, step: Step, steps: Iterator[Step], began: float) -> None:
        if step.event == Event.COMPLETED:
            self._end(call, step.status, sip=call.outcome.sip, talked=step.talked)
        else:
            call.move(step.status, now=time.time())
            self._report(call, step.event)
            self._await_next(call, steps, began)

    def _end(self, call: Call, status: Status, *, sip: int, talked: int = 0) -> None:
        if timer := self._timers.pop(call, None):
            timer.cancel()
        call.end(status, now=time.time(), sip=sip, talked=talked)
        self._report(call, Event.COMPLETED)

    # -- telling about it ------------------------------------------------------------------------

    def _report(self, call: Call, event: Event) -> None:
        """Tell the client what has just happened, if it asked and is to hear of it."""
        order, delivery = call.order, call.outcome.delivery
        if not order.callback or event not in order.events or delivery == Delivery.NEVER:
            return
        webhook = status_webhook(call, url=order.callback, account_sid=self.account_sid)
        call.reports += 1
        if delivery == Delivery.TWICE:
            self._post(call, webhook, webhook)
        elif delivery == Delivery.ONCE:
            self._post(call, webhook)
        elif call.is_final:
            self._post(call, webhook, *self._held_back.pop(call, ()))
        else:
            self._held_back.setdefault(call, []).append(webhook)

    def _post(self, call: Call, *webhooks: Webhook) -> None:
        """A call's webhooks travel one after the other; those of other calls meanwhile."""
        if self._closing.is_set():
            return
        self._outboxes.setdefault(call, deque()).extend(webhooks)
        if call not in self._posting:
            self._posting[call] = asyncio.create_task(self._empty_outbox(call))

    async def _empty_outbox(self, call: Call) -> None:
        outbox = self._outboxes[call]
        try:
            while outbox:
                webhook = outbox.popleft()
                answer = await self._courier.deliver(webhook)
                call.deliveries.append((webhook.fields["CallStatus"], answer))
        finally:
            self._outboxes.pop(call, None)
            self._posting.pop(call, None)
