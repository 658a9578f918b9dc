#!/usr/bin/env python3
"""Reads Penstock's reply topic from its beginning: prints each job's text as it comes, and a line for its outcome.

Which events count is decided by the reading rule (docs/wire/asyncapi.yaml), on headers alone: see ReadingRule. examples/java/ReplyConsumer.java is the same
program in Java.
"""

import argparse
import json
import re
import sys
import time
from enum import Enum

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

OUTCOMES = frozenset({"completed", "failed", "cancelled", "expired"})
ENDS = OUTCOMES | {"rejected"}  # shown for the one job that is waited for: it has no other record
NUMBER = re.compile(r"[0-9]{1,9}")


class Verdict(Enum):
    VOID = "void"
    VALID = "valid"
    TAKES_OVER = "takes over"


class ReadingRule:
    """Which events of one job count. It is shown all of them, in their partition's order."""

    def __init__(self):
        self.attempt = -1
        self.run = None
        self.closed = False

    def judge(self, event, attempt, run):
        if self.closed or event == "rejected":
            return Verdict.VOID
        if attempt > self.attempt and (event == "started" or event in OUTCOMES):
            verdict = Verdict.TAKES_OVER
        elif (attempt, run) == (self.attempt, self.run):
            verdict = Verdict.VALID
        else:
            return Verdict.VOID
        self.attempt, self.run, self.closed = attempt, run, event in OUTCOMES
        return verdict


class Job:
    """What the valid events of one job add up to."""

    def __init__(self):
        self.rule = ReadingRule()
        self.events = 0
        self.text = ""
        self._marks = []  # for each valid event whose text is kept: (attempt, seq), and the text's length after it
        self._whole = True  # else none of the text is kept

    @property
    def attempt(self):
        return max(0, self.rule.attempt)

    @property
    def size(self):
        """Characters in memory, roughly."""
        return len(self.text) + 32 * len(self._marks)

    def forget(self):
        """Lets the text go. The outcome of a completed job has all of it."""
        self._whole, self.text, self._marks = False, "", []

    def read(self, event, attempt, seq, run, value):
        """Takes an event in; returns its document, or None where the event is void."""
        verdict = self.rule.judge(event, attempt, run)
        if verdict is Verdict.VOID:
            return None
        document = json.loads(value)
        self.events += 1
        if event == "started" and verdict is Verdict.TAKES_OVER:
            self._keep(document["job"].get("resumed_from"))
        elif event == "chunk" and self._whole:
            self.text += text_of(document)
        if self._whole:
            self._marks.append(((attempt, seq), len(self.text)))
        return document

    def _keep(self, resumed_from):
        """A new attempt voids the text so far, but for what it goes on from."""
        last = (resumed_from["attempt"], resumed_from["seq"]) if resumed_from else (-1, -1)
        while self._marks and self._marks[-1][0] > last:
            self._marks.pop()
        self.text = self.text[: self._marks[-1][1] if self._marks else 0]
        if not resumed_from:
            self._whole = True
        elif not self._marks or self._marks[-1][0] != last:
            self.forget()  # what it goes on from was not read


def text_of(document):
    """The text of choice 0: of a chunk or of a whole answer, of a chat or of a completion."""
    found = []
    for choice in document.get("choices") or ():
        if choice.get("index", 0) == 0:
            part = choice.get("delta") or choice.get("message") or {}
            found.append(part.get("content") or choice.get("text") or "")
    return "".join(found)


class JsonLines:
    """A line of JSON for each outcome, and nothing else."""

    def __init__(self, out):
        self._out = out

    def show(self, job_id, event, job, document):
        if event in ENDS:
            line = {"id": job_id, "outcome": event, "attempt": job.attempt, "text": job.text, "events": job.events}
            self._out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._out.flush()

    def end(self):
        pass


class Plain:
    """Text as it comes, each line with the job it belongs to, and a line for each outcome."""

    def __init__(self, out):
        self._out = out
        self._open = None  # the job whose text the last line holds
        self._shown = {}  # job id: how much of its text was printed

    def show(self, job_id, event, job, document):
        shown = self._shown.get(job_id, 0)
        if len(job.text) < shown:
            self._line(job_id, f"attempt {job.attempt} starts the text again")
            shown = 0
        self._text(job_id, job.text[shown:])
        self._shown[job_id] = len(job.text)
        if event in ENDS:
            if not job.text:  # nothing was streamed
                self._text(job_id, text_of(document))
            error = document.get("error")
            why = f": {error['code']}: {error['message']}".replace("\n", " ") if error else ""
            self._line(job_id, f"{event}, attempt {job.attempt}, events {job.events}{why}")
            del self._shown[job_id]
        self._out.flush()

    def end(self):
        if self._open is not None:
            self._out.write("\n")
            self._out.flush()
            self._open = None

    def _text(self, job_id, text):
        if text:
            if self._open != job_id:
                self.end()
                self._out.write(f"[{job_id}] ")
                self._open = job_id
            self._out.write(text)

    def _line(self, job_id, line):
        self.end()
        self._out.write(f"[{job_id}] {line}\n")


class Replies:
    """The jobs of the reply topic, or one of them."""

    def __init__(self, view, only=None):
        self._view = view
        self._only = only
        self._jobs = {}
        self._closed = set()

        self._rejection = None  # the event that refused a record of the one job, while that has no other event
        self._behind = {}

    def begin(self, ends):
        """Says where the partitions end now: {partition: offset}, of those that hold anything."""
        self._behind = dict(ends)

    def passed(self, partition, offset):
        """A record was read. What the topic held at the beginning decides before a rejection does."""
        if offset + 1 >= self._behind.get(partition, sys.maxsize):
            del self._behind[partition]
        self._end_rejected()

    @property
    def finished(self):
        return self._only in self._closed

    def read(self, headers, value):
        """Takes in a record; one that is no event is skipped."""
        job_id, event, run = (headers.get(name) for name in ("job-id", "event", "run"))
        attempt, seq = (number(headers.get(name)) for name in ("attempt", "seq"))
        if None in (job_id, event, run, attempt, seq) or job_id in self._closed or self._only not in (None, job_id):
            return
        if event == "rejected" and job_id == self._only:
            self._rejected(json.loads(value))
        job = self._jobs.setdefault(job_id, Job())
        document = job.read(event, attempt, seq, run, value)
        if document is None:
            return
        self._view.show(job_id, event, job, document)
        if job.rule.closed:
            del self._jobs[job_id]
            self._closed.add(job_id)

    def _rejected(self, document):
        # another body means that there is another record, whose outcome is to come
        if document["error"].get("code") != "id_conflict":
            self._rejection = document

    def _end_rejected(self):
        if self._rejection and not self._behind and not self.finished and self._jobs[self._only].events == 0:
            self._view.show(self._only, "rejected", self._jobs[self._only], self._rejection)
            self._closed.add(self._only)


def number(text):
    return int(text) if text is not None and NUMBER.fullmatch(text) else None


def texts(headers):
    return {name: value.decode("utf-8", "replace") for name, value in headers or () if value is not None}


def open_topic(bootstrap, topic):
    """A consumer at the beginning of each of the topic's partitions. It joins no group and commits nothing: the rule wants all of a job's events."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "penstock-example", "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    found = consumer.list_topics(topic, timeout=30).topics[topic]
    if found.error or not found.partitions:
        sys.exit(f"topic {topic} is not there")
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in sorted(found.partitions)])
    return consumer


def main():
    parser = argparse.ArgumentParser(description="Reads Penstock's reply topic.")
    parser.add_argument("--bootstrap", default="localhost:9092", metavar="HOST:PORT", help="the brokers (%(default)s)")
    parser.add_argument("--topic", default="prompt-replies", help="the reply topic (%(default)s)")
    parser.add_argument("--id", help="only this job; ends at its outcome, or where its only record was refused")
    parser.add_argument("--until-idle", type=float, metavar="SECONDS", help="ends when no record has come for so long")
    parser.add_argument("--json", action="store_true", help="only a line of JSON for each outcome")
    options = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")

    view = JsonLines(sys.stdout) if options.json else Plain(sys.stdout)
    replies = Replies(view, options.id)
    try:
        consumer = open_topic(options.bootstrap, options.topic)
    except KafkaException as e:
        sys.exit(f"{options.bootstrap}: {e.args[0].str()}")
    ends = {each.partition: consumer.get_watermark_offsets(each, timeout=30) for each in consumer.assignment()}
    replies.begin({partition: high for partition, (low, high) in ends.items() if high > low})
    latest = time.monotonic()
    try:
        while not replies.finished and (options.until_idle is None or time.monotonic() - latest < options.until_idle):
            message = consumer.poll(0.1)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            latest = time.monotonic()
            replies.read(texts(message.headers()), message.value())
            replies.passed(message.partition(), message.offset())
    except KeyboardInterrupt:
        pass
    finally:
        view.end()
        consumer.close()


if __name__ == "__main__":
    main()
