package dev.penstock.cli;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobId;
import dev.penstock.wire.CommandDocument;
import dev.penstock.wire.EventHeaders;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock cancel}: tells the service to cancel a job. */
@Command(
        name = "cancel",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = "Cancels a job, before or while it runs; its outcome comes as an event (penstock watch ID).",
        sortOptions = false)
final class CancelCommand implements Callable<Integer> {
    private final Terminal terminal;

    @Parameters(paramLabel = "ID", description = "the job's id")
    private String id = "";

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Mixin
    private final KafkaOptions kafka = new KafkaOptions();

    @Option(
            names = "--commands-topic",
            paramLabel = "T",
            defaultValue = "prompt-commands",
            description = "over Kafka: the commands' topic; default ${DEFAULT-VALUE}")
    private String commandsTopic = "";

    CancelCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        JobId jobId = WatchCommand.jobId(id);
        KafkaAccess access = kafka.access(rest);
        terminal.note(access == null ? overRest(jobId) : overKafka(access, jobId));
        return Ending.COMPLETED.exitCode();
    }

    private String overRest(JobId jobId) throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            JsonNode answer = service.call(service.request("/v1/jobs/" + Rest.encoded(jobId.value()))
                    .DELETE()
                    .build());
            String status = answer.path("status").asText();
            return switch (status) {
                case "completed", "failed", "cancelled", "expired" ->
                    "job %s had ended already: %s".formatted(jobId, status);
                default -> "job %s is being cancelled".formatted(jobId);
            };
        }
    }

    private String overKafka(KafkaAccess access, JobId jobId) throws Problem, InterruptedException {
        try (KafkaConsumer<byte[], byte[]> consumer = access.consumer()) {
            access.partitions(consumer, commandsTopic);
        }
        byte[] command = CommandDocument.cancel(jobId);
        try (KafkaProducer<byte[], byte[]> producer = access.producer()) {
            access.write(producer, new ProducerRecord<>(commandsTopic, EventHeaders.utf8(jobId.value()), command));
        }
        return "job %s: the command to cancel is written".formatted(jobId);
    }
}
