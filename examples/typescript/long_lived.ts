/**
 * A member of a consumer group: it reads Penstock's reply topic until SIGTERM, and handles each job's outcome.
 *
 * The offset that it commits of a partition is where the oldest open job begins. After a crash or a rebalance the next owner
 * reads the open jobs again from their first event, and some outcomes a second time: handle an outcome by its job's id, and
 * let the first one count. LongLivedConsumer.java and long_lived.py are the same program.
 */
import { parseArgs } from "node:util";
import kafkajs, { type KafkaMessage } from "kafkajs";
// @ts-ignore: it has no types
import lz4 from "lz4js";

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
// KafkaJS reads gzip by itself. Penstock writes lz4, unless penstock.replies.compression is gzip or none.
CompressionCodecs[CompressionTypes.LZ4] = () => ({ decompress: async (bytes: Buffer) => Buffer.from(lz4.decompress(bytes)) });

const MAX_OPEN = 10_000; // open jobs of one partition
const MAX_AGE = 2 * 3600 * 1000; // no job runs for longer: above penstock.jobs.max-timeout. What is older has no outcome to come
const MAX_TEXT = 8_000_000; // characters of the open jobs of one partition
const MAX_CLOSED = 10_000; // ids of one partition that have ended: further events of these jobs are void
const OUTCOMES = new Set(["completed", "failed", "cancelled", "expired"]);

/** Your code. Comes twice for some jobs: keep the first one of an id. */
async function handle(event: Event, job: Job, document: any) {
  const text = job.text || textOf(document); // a job without chunks, or whose text was let go, has its text in the outcome
  console.log(JSON.stringify({ id: event.id, outcome: event.name, attempt: job.attempt, text }));
}

/** Your code: Penstock refused a record. The job of that id, if there is one, comes from another record. */
async function handleRejected(event: Event, document: any) {
  console.log(JSON.stringify({ id: event.id, outcome: "rejected", code: document.error.code, record: document.job.record }));
}

type Position = { attempt: number; seq: number };
type Event = Position & { id: string; name: string; run: string };

/** What the headers of a record say; nothing where it is no event. */
function eventOf(message: KafkaMessage): Event | undefined {
  const [id, name, run, attempt, seq] = ["job-id", "event", "run", "attempt", "seq"].map((key) => message.headers?.[key]?.toString());
  const number = /^[0-9]{1,9}$/;
  if (id === undefined || name === undefined || run === undefined || !number.test(attempt ?? "") || !number.test(seq ?? "")) return undefined;
  return { id, name, run, attempt: Number(attempt), seq: Number(seq) };
}

/**
 * Which events of one job count, by the reading rule, and the text that they add up to. It receives all of them, in their
 * partition's order.
 */
class Job {
  attempt = -1;
  text = "";
  private run = "";
  private marks: (Position & { length: number })[] = []; // for each valid event whose text is kept: the text's length after it
  private whole = true; // else none of the text is kept

  /** Where and when its first event lies. */
  constructor(readonly offset: bigint, readonly timestamp: number) {}

  /** Takes an event in; returns its document, or nothing where the event is void. */
  read(event: Event, value: Buffer): any {
    const takesOver = event.attempt > this.attempt && (event.name === "started" || OUTCOMES.has(event.name));
    if (!takesOver && !(event.attempt === this.attempt && event.run === this.run)) return undefined;
    this.attempt = event.attempt;
    this.run = event.run;
    const document = JSON.parse(value.toString());
    if (event.name === "started" && takesOver) this.keep(document.job.resumed_from);
    if (event.name === "chunk" && this.whole) this.text += textOf(document);
    if (this.whole) this.marks.push({ attempt: event.attempt, seq: event.seq, length: this.text.length });
    return document;
  }

  /** A new attempt voids the text so far, but for what it goes on from. */
  private keep(from?: Position) {
    const last = () => this.marks.at(-1);
    const after = (mark: Position) => !from || mark.attempt > from.attempt || (mark.attempt === from.attempt && mark.seq > from.seq);
    while (this.marks.length && after(last()!)) this.marks.pop();
    this.text = this.text.slice(0, last()?.length ?? 0);
    if (!from) this.whole = true;
    else if (last()?.attempt !== from.attempt || last()?.seq !== from.seq) this.forget(); // what it goes on from was not read
  }

  /** Characters in memory, roughly. */
  get size() {
    return this.text.length + 32 * this.marks.length;
  }

  /** Lets the text go. The outcome of a completed job has all of it. */
  forget() {
    [this.whole, this.text, this.marks] = [false, "", []];
  }
}

/** The text of choice 0, from a chunk or a whole answer, from a chat or a completion. */
function textOf(document: any): string {
  return (document.choices ?? [])
    .filter((choice: any) => (choice.index ?? 0) === 0)
    .map((choice: any) => (choice.delta ?? choice.message)?.content ?? choice.text ?? "")
    .join("");
}

const first = <T>(values: Iterable<T>): T | undefined => values[Symbol.iterator]().next().value;

/** The open and the ended jobs of one partition, in bounded memory. */
class Partition {
  next?: bigint; // the offset after the last record that was handled
  committed?: bigint;
  private open = new Map<string, Job>(); // the oldest first
  private closed = new Set<string>(); // the oldest first
  private size = 0;

  async read(message: KafkaMessage) {
    const offset = BigInt(message.offset);
    if (this.next !== undefined && offset < this.next) return; // KafkaJS hands a batch out again where a part of it failed
    const event = eventOf(message);
    if (event && message.value) await this.readEvent(event, message.value, new Job(offset, Number(message.timestamp)));
    this.next = offset + 1n; // last: what could not be handled is not committed
  }

  private async readEvent(event: Event, value: Buffer, fresh: Job) {
    if (event.name === "rejected") return handleRejected(event, JSON.parse(value.toString()));
    if (this.closed.has(event.id)) return; // void, or an outcome that was replayed for a duplicate record
    const job = this.open.get(event.id) ?? fresh;
    const before = job.size;
    const document = job.read(event, value);
    if (!document) return; // void
    this.size += job.size - before;
    this.open.set(event.id, job);
    if (OUTCOMES.has(event.name)) {
      await handle(event, job, document);
      this.drop(event.id, job);
      this.closed.add(event.id);
      if (this.closed.size > MAX_CLOSED) this.closed.delete(first(this.closed)!);
    }
    this.bound(fresh.timestamp);
  }

  /** The oldest jobs lose their text first. A job that is dropped is handled all the same when its outcome comes. */
  private bound(now: number) {
    for (const [id, job] of this.open) {
      if (this.open.size <= MAX_OPEN && now - job.timestamp <= MAX_AGE) break;
      this.drop(id, job);
    }
    for (const job of this.open.values()) {
      if (this.size <= MAX_TEXT) break;
      this.size -= job.size;
      job.forget();
    }
  }

  private drop(id: string, job: Job) {
    this.size -= job.size;
    this.open.delete(id);
  }

  get committable(): bigint | undefined {
    return first(this.open.values())?.offset ?? this.next;
  }
}

const { values: options } = parseArgs({
  options: {
    bootstrap: { type: "string", default: "localhost:9092" },
    topic: { type: "string", default: "prompt-replies" },
    group: { type: "string", default: "my-replies" },
  },
});
const kafka = new Kafka({ brokers: [options.bootstrap!], logLevel: logLevel.ERROR });
const consumer = kafka.consumer({
  groupId: options.group!,
  sessionTimeout: 10_000, // a member that died is replaced after so long
  allowAutoTopicCreation: false,
});
const partitions = new Map<number, Partition>();

// after every rebalance KafkaJS begins where the partitions are committed, also those that stay; no batch is under way then
consumer.on(consumer.events.GROUP_JOIN, () => partitions.clear());
consumer.on(consumer.events.CRASH, ({ payload }) => {
  if (!payload.restart) process.exit(1);
});
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => consumer.disconnect());

await consumer.connect();
await consumer.subscribe({ topic: options.topic!, fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch, heartbeat, isRunning, commitOffsetsIfNecessary }) => {
    const partition = partitions.get(batch.partition) ?? new Partition();
    partitions.set(batch.partition, partition);
    try {
      for (const message of batch.messages) {
        if (!isRunning()) break;
        await partition.read(message);
        await heartbeat(); // sends one when it is due; throws where the group rebalances
      }
    } finally {
      // also before a rebalance, and at the end
      const offset = partition.committable;
      if (offset !== undefined && offset !== partition.committed) {
        await commitOffsetsIfNecessary({ topics: [{ topic: batch.topic, partitions: [{ partition: batch.partition, offset: offset.toString() }] }] });
        partition.committed = offset;
      }
    }
  },
});
