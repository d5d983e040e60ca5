"""Event-driven continuous batching: requests arrive, queue, run together and finish.

Steps between events are skipped: all running requests advance at the speed the curve gives at that
batch, so a request ends when the common progress reaches its length. One heap, no steps.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from random import Random

import numpy as np

from simulator.demand import LENGTH_LIMITED
from simulator.instance import Instance, count_steps
from simulator.tally import Levels, Tally

_LOOK_AGAIN_S = 60.0
"""Longest time an arrival rate is taken as constant."""


@dataclass(slots=True)
class _Request:
    arrived_s: float
    input_tokens: int
    output_tokens: int
    admitted_s: float = 0.0
    first_token_s: float = 0.0
    started_at: float = 0.0  # common progress at admission, in tokens
    preempted: bool = False


class Engine:
    """One instance from `start_s` on; `tally` and `levels` are what it shows."""

    def __init__(
        self, instance: Instance, start_s: float, seed: str, *, tally: Tally | None = None
    ) -> None:
        self.instance = instance
        self.now_s = start_s
        self.tally = tally or Tally.empty()
        self._random = Random(f"{seed}:{instance.id}:{start_s}")
        self._queue: deque[_Request] = deque()
        self._running: list[tuple[float, int, _Request]] = []
        self._serial = 0
        self._progress = 0.0
        self._held_tokens = 0.0
        self._tokens_at = np.zeros(instance.batch_limit + 1)

    def fill(self, running: int, waiting: int) -> None:
        """Begin with requests under way, each part done."""
        for _ in range(running + waiting):
            self._arrive()
        for _, _, request in self._running:
            done = self._random.random() * request.output_tokens
            request.started_at -= done
            self._held_tokens += done
        self._running = [(r.started_at + r.output_tokens, s, r) for _, s, r in self._running]
        heapq.heapify(self._running)

    def levels(self) -> Levels:
        """Requests, KV use and watts at this moment."""
        running = len(self._running)
        used = min(self._held_tokens / self.instance.kv_capacity_tokens, 1.0)
        return Levels(running, len(self._queue), used, float(self.instance.power_w[running]))

    def advance(self, until_s: float) -> None:
        """Run every event up to Unix time `until_s`."""
        while self.now_s < until_s:
            self._next_event(until_s)
        self._flush_steps()

    def _next_event(self, until_s: float) -> None:
        arrivals = self.instance.demand.at(self.now_s)
        rate = arrivals.rate(len(self._running) + len(self._queue))
        arrival_s = self.now_s + (self._random.expovariate(rate) if rate > 0 else np.inf)
        finish_s = self._finish_s()
        at_s = min(arrival_s, finish_s, until_s, self.now_s + _LOOK_AGAIN_S)
        self._pass_time(at_s)
        if at_s == finish_s:
            self._finish()
        elif at_s == arrival_s:
            self._arrive()
        while self._held_tokens > self.instance.kv_capacity_tokens and len(self._running) > 1:
            self._preempt()

    def _finish_s(self) -> float:
        if not self._running:
            return np.inf
        left = max(self._running[0][0] - self._progress, 0.0)
        return self.now_s + left * float(self.instance.token_time_s[len(self._running)])

    def _pass_time(self, to_s: float) -> None:
        running, seconds = len(self._running), to_s - self.now_s
        self.now_s = to_s
        scalars = self.tally.scalars
        scalars["energy_j"] += float(self.instance.power_w[running]) * seconds
        if not running:
            return
        tokens = float(self.instance.tokens_per_s[running]) * seconds
        self._progress += tokens / running
        self._held_tokens += tokens
        self._tokens_at[running] += tokens
        scalars["output_tokens"] += tokens
        scalars["busy_s"] += seconds

    def _arrive(self) -> None:
        inputs, outputs = self.instance.lengths.draw(self._random)
        self.tally.scalars["arrived"] += 1
        self._queue.append(_Request(self.now_s, inputs, outputs))
        self._admit()

    def _admit(self) -> None:
        instance = self.instance
        while self._queue and len(self._running) < instance.batch_limit:
            request = self._queue[0]
            needed = self._held_tokens + request.input_tokens
            if self._running and needed > instance.kv_capacity_tokens:
                return
            self._queue.popleft()
            if not request.preempted:
                self.tally.scalars["input_tokens"] += request.input_tokens
                request.admitted_s = self.now_s
            request.started_at = self._progress
            self._held_tokens += request.input_tokens
            self._serial += 1
            end = self._progress + request.output_tokens
            heapq.heappush(self._running, (end, self._serial, request))
            request.first_token_s = float(instance.first_token_s[len(self._running)])

    def _finish(self) -> None:
        _, _, request = heapq.heappop(self._running)
        self._held_tokens -= request.input_tokens + self._progress - request.started_at
        self._held_tokens = max(self._held_tokens, 0.0)
        self._count(request)
        self._admit()

    def _preempt(self) -> None:
        """Send the newest request back to the head of the queue; its answer is computed anew."""
        newest = max(range(len(self._running)), key=lambda i: self._running[i][1])
        _, _, request = self._running.pop(newest)
        heapq.heapify(self._running)
        self._held_tokens -= request.input_tokens + self._progress - request.started_at
        request.preempted = True
        self._queue.appendleft(request)
        self.tally.scalars["preemptions"] += 1

    def _count(self, request: _Request) -> None:
        tally = self.tally
        limited = self._random.random() < LENGTH_LIMITED
        tally.scalars["finished_length" if limited else "finished_stop"] += 1
        queue_s = request.admitted_s - request.arrived_s
        inference_s = self.now_s - request.admitted_s
        prefill_s = min(request.first_token_s, inference_s / 2)
        decode_s = inference_s - prefill_s
        tally.observe("queue", queue_s)
        tally.observe("first_token", queue_s + prefill_s)
        tally.observe("inference", inference_s)
        tally.observe("end_to_end", queue_s + inference_s)
        tally.observe("prefill", prefill_s)
        tally.observe("decode", decode_s)
        tally.observe("per_token", decode_s / (request.output_tokens - 1))
        tally.observe("input_tokens", request.input_tokens)
        tally.observe("output_tokens", request.output_tokens)

    def _flush_steps(self) -> None:
        """Turn tokens by batch into inter-token times and steps."""
        count_steps(self.tally, self.instance, self._tokens_at)
        self._tokens_at = np.zeros(self.instance.batch_limit + 1)
