package dev.penstock.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobId;
import dev.penstock.wire.Json;
import org.apache.kafka.common.utils.Bytes;

/**
 * A job that is ready to be sent. It names its own id, so that sending it twice makes one job.
 *
 * @param document the job's document, with {@code job.id}
 */
record Draft(JobId id, Bytes document) {

    static Draft of(JobId id, ObjectNode document) {
        document.withObject("/job").put("id", id.value());
        return new Draft(id, Bytes.wrap(Json.bytes(document)));
    }
}
