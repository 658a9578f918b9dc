package dev.penstock.cli.command;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.kafka.KafkaAccess;
import dev.penstock.cli.kafka.KafkaOptions;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Terminal;
import dev.penstock.job.JobId;
import dev.penstock.wire.document.CommandDocument;
import dev.penstock.wire.record.EventHeaders;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code penstock cancel}: cancels jobs, by their ids or by filters. */
@Command(
        name = "cancel",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Cancels jobs, before or while they run; the outcome comes as an event (penstock watch ID).",
            "Either ids, or filters (over REST): then every queued or running job that fits them all."
        },
        sortOptions = false)
public final class CancelCommand implements Callable<Integer> {
    private static final List<String> OPEN = List.of("queued", "running");

    private final Terminal terminal;

    @Parameters(arity = "0..*", paramLabel = "ID", description = "the jobs' ids")
    private List<String> ids = List.of();

    @Option(names = "--status", paramLabel = "S", description = "only jobs that are queued, or only those that run")
    private @Nullable String status;

    @Mixin
    private final ListFilters filters = new ListFilters();

    @Option(names = "--dry-run", description = "with filters: list the jobs that would be cancelled, and cancel none")
    private boolean dryRun;

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

    public CancelCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        boolean filtered = status != null || filters.areGiven();
        if (ids.isEmpty() != filtered) {
            throw Problem.usage(filtered ? "ids and filters: one or the other" : "an id or a filter is missing");
        }
        if (status != null && !OPEN.contains(status)) {
            throw Problem.usage("--status: one of " + String.join(", ", OPEN));
        }
        if (dryRun && !filtered) {
            throw Problem.usage("--dry-run goes with filters only");
        }
        List<JobId> jobIds = new ArrayList<>();
        for (String id : ids) {
            jobIds.add(WatchCommand.jobId(id));
        }
        KafkaAccess access = kafka.access(rest);
        if (access != null && filtered) {
            throw Problem.usage("filters go over REST: --kafka knows ids only");
        }
        return access == null ? overRest(jobIds) : overKafka(access, jobIds);
    }

    private int overRest(List<JobId> jobIds) throws Problem, InterruptedException {
        try (Rest service = rest.open()) {
            if (!jobIds.isEmpty()) {
                return each(service, jobIds);
            }
            List<JobId> fitting = new ArrayList<>();
            for (String wanted : status == null ? OPEN : List.of(status)) {
                for (JsonNode job : filters.jobs(service, wanted, Integer.MAX_VALUE)) {
                    fitting.add(new JobId(job.path("id").asText()));
                }
            }
            if (dryRun) {
                for (JobId id : fitting) {
                    terminal.line(id.value());
                }
                terminal.note("%d jobs would be cancelled".formatted(fitting.size()));
                return Ending.COMPLETED.exitCode();
            }
            int exitCode = each(service, fitting);
            terminal.note("%d jobs fitted".formatted(fitting.size()));
            return exitCode;
        }
    }

    /** Cancels each job. If the service refuses to cancel a job, continues with the next job. */
    private int each(Rest service, List<JobId> jobIds) throws Problem, InterruptedException {
        Ending ending = Ending.COMPLETED;
        for (JobId id : jobIds) {
            try {
                terminal.note(cancel(service, id));
            } catch (Problem e) {
                if (!e.cameFromService() || jobIds.size() == 1) {
                    throw e;
                }
                terminal.note("job %s: %s".formatted(id, e.line()));
                ending = Ending.REFUSED;
            }
        }
        return ending.exitCode();
    }

    private static String cancel(Rest service, JobId jobId) throws Problem, InterruptedException {
        JsonNode answer = service.call(service.change("/v1/jobs/" + Rest.encoded(jobId.value()))
                .DELETE()
                .build());
        String status = answer.path("status").asText();
        return switch (status) {
            case "completed", "failed", "cancelled", "expired" ->
                "job %s had ended already: %s".formatted(jobId, status);
            default -> "job %s is being cancelled".formatted(jobId);
        };
    }

    private int overKafka(KafkaAccess access, List<JobId> jobIds) throws Problem, InterruptedException {
        try (KafkaConsumer<byte[], byte[]> consumer = access.consumer()) {
            access.partitions(consumer, commandsTopic);
        }
        try (KafkaProducer<byte[], byte[]> producer = access.producer()) {
            for (JobId id : jobIds) {
                byte[] command = CommandDocument.cancel(id);
                access.write(producer, new ProducerRecord<>(commandsTopic, EventHeaders.utf8(id.value()), command));
                terminal.note("job %s: the command to cancel is written".formatted(id));
            }
        }
        return Ending.COMPLETED.exitCode();
    }
}
