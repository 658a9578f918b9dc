-- The ledger: a projection of the topics. Everything here can be built again from them; no job waits for it.
-- One schema for SQLite and PostgreSQL. Times are milliseconds since 1970.

-- How far each partition has been projected; moved in the transaction of the rows.
CREATE TABLE positions (
    topic TEXT NOT NULL,
    topic_partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    -- when records were found to be gone before they were projected; 0: never
    gap_ms BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, topic_partition)
);

CREATE TABLE jobs (
    id TEXT NOT NULL PRIMARY KEY,
    -- where its events lie: whoever projects that partition looks after the job
    reply_partition INTEGER NOT NULL,

    -- from its records; created_ms is null until one was seen, and again when the job is forgotten
    created_ms BIGINT,
    record_topic TEXT,
    record_partition INTEGER,
    record_offset BIGINT,
    task TEXT,
    priority INTEGER,
    tenant TEXT,
    asked_model TEXT,
    deadline_ms BIGINT,
    -- all records, refusals and the last copies, as JSON
    arrivals TEXT NOT NULL,

    -- from commands
    cancel_ms BIGINT,

    -- from events, in their order
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    run TEXT,
    applied_offset BIGINT NOT NULL,
    first_offset BIGINT,
    named_topic TEXT,
    named_partition INTEGER,
    named_offset BIGINT,
    started_ms BIGINT,
    finished_ms BIGINT,
    attempts INTEGER NOT NULL,
    -- the first attempt of each run that began, such as 1,2,4
    run_starts TEXT NOT NULL,
    node TEXT,
    backend TEXT,
    model TEXT,
    outcome_offset BIGINT,
    error TEXT,
    usage TEXT,
    outcome TEXT,

    -- started_ms and the record's timeout together
    overdue_ms BIGINT,
    -- since when a row has been waiting for a record and for events
    stub_ms BIGINT,
    forgotten INTEGER NOT NULL
);

-- lists, newest first
CREATE INDEX jobs_created ON jobs (created_ms, id) WHERE created_ms IS NOT NULL;
CREATE INDEX jobs_status ON jobs (status, created_ms, id) WHERE created_ms IS NOT NULL;
CREATE INDEX jobs_tenant ON jobs (tenant, created_ms, id) WHERE created_ms IS NOT NULL;
CREATE INDEX jobs_model ON jobs ((COALESCE(model, asked_model)), created_ms, id) WHERE created_ms IS NOT NULL;
-- the line, for the place in it
CREATE INDEX jobs_queued ON jobs (priority, created_ms, id) WHERE status = 'queued' AND created_ms IS NOT NULL;
-- the janitor's and the audit's
CREATE INDEX jobs_cancel ON jobs (cancel_ms) WHERE finished_ms IS NULL AND created_ms IS NOT NULL AND cancel_ms IS NOT NULL;
CREATE INDEX jobs_deadline ON jobs (deadline_ms) WHERE finished_ms IS NULL AND created_ms IS NOT NULL AND deadline_ms IS NOT NULL;
CREATE INDEX jobs_overdue ON jobs (overdue_ms) WHERE overdue_ms IS NOT NULL;
CREATE INDEX jobs_open ON jobs (record_topic, record_partition, record_offset) WHERE finished_ms IS NULL AND created_ms IS NOT NULL;
-- retention
CREATE INDEX jobs_finished ON jobs (finished_ms) WHERE finished_ms IS NOT NULL;
CREATE INDEX jobs_kept ON jobs (finished_ms) WHERE finished_ms IS NOT NULL AND forgotten = 0;
CREATE INDEX jobs_stub ON jobs (stub_ms) WHERE stub_ms IS NOT NULL;

-- what was asked, for as long as the job is kept
CREATE TABLE requests (
    id TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (id, body_hash)
);
