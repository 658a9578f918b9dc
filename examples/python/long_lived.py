#!/usr/bin/env python3
"""A member of a consumer group: it reads Penstock's reply topic until SIGTERM, and handles each job's outcome.

The offset that it commits of a partition is where the oldest open job begins. After a crash or a rebalance the next owner reads the open jobs again from
their first event, and some outcomes a second time: handle an outcome by its job's id, and let the first one count. consumer.py, beside this file, has the
reading rule. LongLivedConsumer.java and long_lived.ts are the same program.
"""

import argparse
import json
import signal
import sys
import time
from collections import OrderedDict

from confluent_kafka import Consumer, KafkaException, TopicPartition

from consumer import Job, number, text_of, texts

MAX_OPEN = 10_000  # open jobs of one partition
MAX_AGE = 2 * 3600 * 1000  # no job runs for longer: above penstock.jobs.max-timeout. What is older has no outcome to come
MAX_TEXT = 8_000_000  # characters of the open jobs of one partition
MAX_CLOSED = 10_000  # ids of one partition that have ended: further events of these jobs are void
BETWEEN_COMMITS = 1.0


def handle(job_id, event, job, document):
    """Your code. Comes twice for some jobs: keep the first one of an id."""
    text = job.text or text_of(document)  # a job without chunks, or whose text was let go, has its text in the outcome
    line({"id": job_id, "outcome": event, "attempt": job.attempt, "text": text})


def handle_rejected(job_id, document):
    """Your code: Penstock refused a record. The job of that id, if there is one, comes from another record."""
    line({"id": job_id, "outcome": "rejected", "code": document["error"]["code"], "record": document["job"].get("record")})


def line(document):
    print(json.dumps(document, ensure_ascii=False, separators=(",", ":")), flush=True)


class Partition:
    """The open and the ended jobs of one partition, in bounded memory."""

    def __init__(self):
        self.next = None  # the offset after the last record that was handled
        self.committed = None
        self._open = OrderedDict()  # job id: (offset and timestamp of its first event, Job); the oldest first
        self._closed = OrderedDict()  # job ids; the oldest first
        self._size = 0

    def read(self, message):
        headers = texts(message.headers())
        job_id, event, run = (headers.get(name) for name in ("job-id", "event", "run"))
        attempt, seq = (number(headers.get(name)) for name in ("attempt", "seq"))
        if None not in (job_id, event, run, attempt, seq):
            self._read(job_id, event, attempt, seq, run, message)
        self.next = message.offset() + 1  # last: what could not be handled is not committed

    def _read(self, job_id, event, attempt, seq, run, message):
        if event == "rejected":
            handle_rejected(job_id, json.loads(message.value()))
            return
        if job_id in self._closed:
            return  # void, or an outcome that was replayed for a duplicate record
        timestamp = message.timestamp()[1]
        known = self._open.get(job_id) or (message.offset(), timestamp, Job())
        job = known[2]
        before = job.size
        document = job.read(event, attempt, seq, run, message.value())
        if document is None:
            return  # void
        self._size += job.size - before
        self._open.setdefault(job_id, known)
        if job.rule.closed:
            handle(job_id, event, job, document)
            self._size -= self._open.pop(job_id)[2].size
            self._closed[job_id] = True
            if len(self._closed) > MAX_CLOSED:
                self._closed.popitem(last=False)
        self._bound(timestamp)

    def _bound(self, now):
        """The oldest jobs lose their text first. A job that is dropped is handled all the same when its outcome comes."""
        while len(self._open) > MAX_OPEN or (self._open and now - self._oldest[1] > MAX_AGE):
            self._size -= self._open.popitem(last=False)[1][2].size
        if self._size > MAX_TEXT:
            for _, _, job in self._open.values():
                self._size -= job.size
                job.forget()
                if self._size <= MAX_TEXT:
                    break

    @property
    def _oldest(self):
        return next(iter(self._open.values()))

    @property
    def committable(self):
        return self._oldest[0] if self._open else self.next


class Member:
    def __init__(self, bootstrap, topic, group):
        self._topic = topic
        self._partitions = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "session.timeout.ms": 10_000,  # a member that died is replaced after so long
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def _assigned(self, _, partitions):
        for each in partitions:
            self._partitions[each.partition] = Partition()

    def _revoked(self, _, partitions):
        self._commit()
        self._lost(_, partitions)

    def _lost(self, _, partitions):
        """Another member owns them already."""
        for each in partitions:
            self._partitions.pop(each.partition, None)

    def _commit(self):
        offsets = {number: read.committable for number, read in self._partitions.items() if read.committable != read.committed}
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=[TopicPartition(self._topic, *each) for each in offsets.items()], asynchronous=False)
        except KafkaException as e:
            print(f"not committed: {e}", file=sys.stderr)  # a rebalance: the next poll tells who owns what
            return
        for number, offset in offsets.items():
            self._partitions[number].committed = offset

    def run(self, stopped):
        committed = time.monotonic()
        try:
            while not stopped():
                message = self._consumer.poll(0.2)
                if message is not None and message.error():
                    print(message.error(), file=sys.stderr)
                elif message is not None:
                    self._partitions[message.partition()].read(message)
                if time.monotonic() - committed > BETWEEN_COMMITS:
                    self._commit()
                    committed = time.monotonic()
        finally:
            self._consumer.close()  # gives the partitions back: _revoked commits


def main():
    parser = argparse.ArgumentParser(description="Handles the outcomes of Penstock's jobs, as a member of a consumer group.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT", help="the brokers (%(default)s)")
    parser.add_argument("--topic", default="prompt-replies", help="the reply topic (%(default)s)")
    parser.add_argument("--group", default="my-replies", help="the consumer group (%(default)s)")
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    signals = []
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, _: signals.append(number))
    Member(options.bootstrap, options.topic, options.group).run(lambda: signals)


if __name__ == "__main__":
    main()
