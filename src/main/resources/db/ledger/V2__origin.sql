-- Where the topics are that the rows come from: another cluster, or a topic that was made again, has other records at the same
-- offsets. No id: the row is from before they were kept, and takes the present one.
CREATE TABLE origin (
    cluster_id TEXT NOT NULL PRIMARY KEY
);

ALTER TABLE positions ADD COLUMN topic_id TEXT;
