package dev.penstock.cli.doctor;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.cli.command.PenstockCommand;
import dev.penstock.cli.job.Ending;
import dev.penstock.cli.job.Problem;
import dev.penstock.cli.kafka.KafkaAccess;
import dev.penstock.cli.kafka.KafkaOptions;
import dev.penstock.cli.rest.Rest;
import dev.penstock.cli.rest.RestOptions;
import dev.penstock.cli.view.Terminal;
import dev.penstock.wire.Json;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * {@code penstock doctor}: checks the configuration, the service, Kafka, the ledger and the model servers, and
 * reports what is wrong.
 */
@Command(
        name = "doctor",
        mixinStandardHelpOptions = true,
        versionProvider = PenstockCommand.Version.class,
        description = {
            "Looks at the configuration of this folder and environment, the service, Kafka, its topics and groups, the ledger,",
            "the nodes, and the model servers of this machine. A line for each: ok, warn or FAIL, what it found, and the way out.",
            "Exits with 1 where something fails. Changes nothing, and works where the service does not run."
        },
        sortOptions = false)
public final class DoctorCommand implements Callable<Integer> {
    private final Terminal terminal;
    private final Supplier<Installation> configured;
    private final List<Finding> found = new ArrayList<>();

    @Mixin
    private final RestOptions rest = new RestOptions();

    @Mixin
    private final KafkaOptions kafka = new KafkaOptions();

    @Option(
            names = "--management",
            paramLabel = "URL",
            description = "the service's management port; default: port 9000, or the configured one, of its host")
    private @Nullable String management;

    @Option(names = "--json", description = "print JSON in place of lines")
    private boolean json;

    public DoctorCommand(Terminal terminal, Supplier<Installation> configured) {
        this.terminal = terminal;
        this.configured = configured;
    }

    @Override
    public Integer call() throws Problem, InterruptedException {
        Installation here = configured.get();
        configuration(here);
        boolean runs = service(here);
        broker(here, runs);
        Diagnosis machine = Diagnosis.look(
                Diagnosis.ports(System.getenv()),
                System.getenv().getOrDefault("PATH", ""),
                Path.of(System.getProperty("user.home")));
        if (!runs) {
            add(here.ports().stream()
                    .map(port -> Finding.fail("port", port, ""))
                    .toList());
            add(LedgerLook.look(here.ledgerKind(), here.ledgerPlace()));
            add(NodeLook.look(here.nodes()));
            if (here.nodes().isEmpty()) {
                add(
                        machine.anyRuns()
                                ? Finding.ok("nodes", "none is configured: the service uses what it finds here")
                                : Finding.fail(
                                        "nodes",
                                        "none is configured, and no model server runs here",
                                        "start one as in the list below, or set one: OLLAMA_HOST, VLLM_URL, penstock.nodes"));
            }
        }
        boolean fails = found.stream().anyMatch(finding -> finding.level() == Finding.Level.FAIL);
        if (json) {
            terminal.line(document(machine, fails).toString());
        } else {
            terminal.text("\nModel servers of this machine:\n" + machine.ports() + "\n" + machine.servers());
        }
        return (fails ? Ending.FAILED : Ending.COMPLETED).exitCode();
    }

    private void configuration(Installation here) throws Problem {
        for (String mistake : here.mistakes()) {
            add(Finding.fail("configuration", mistake, ""));
        }
        for (String warning : here.warnings()) {
            add(Finding.warn("configuration", warning, ""));
        }
        if (here.mistakes().isEmpty() && here.warnings().isEmpty()) {
            add(Finding.ok("configuration", "no mistakes"));
        }
    }

    private boolean service(Installation here) throws Problem, InterruptedException {
        try (Rest api = rest.open(here.api());
                Rest health = new Rest(managementBase(api.base(), here.managementPort()), null)) {
            ServiceLook look = new ServiceLook(api, health, new PenstockCommand.Version().getVersion()[0]);
            add(look.look());
            return look.answers();
        }
    }

    private String managementBase(String api, int port) throws Problem {
        if (management != null) {
            return RestOptions.base("--management", management);
        }
        URI of = URI.create(api);
        return "http://%s:%d".formatted(of.getHost(), port);
    }

    private void broker(Installation here, boolean runs) throws Problem, InterruptedException {
        KafkaAccess access = kafka.access(here.kafka());
        if (access == null && rest.isGiven()) {
            add(Finding.warn("Kafka", "not checked: its brokers are not known here", "set them: --kafka"));
            return;
        }
        KafkaAccess usual = access == null ? new KafkaAccess("localhost:9092", Map.of()) : access;
        add(new KafkaLook(usual, here, runs).look());
    }

    private void add(List<Finding> more) throws Problem {
        for (Finding finding : more) {
            add(finding);
        }
    }

    private void add(Finding finding) throws Problem {
        found.add(finding);
        if (!json) {
            terminal.line(finding.line());
        }
    }

    private ObjectNode document(Diagnosis machine, boolean fails) {
        ObjectNode document = Json.mapper().createObjectNode().put("ok", !fails);
        ArrayNode findings = document.putArray("findings");
        found.forEach(finding -> findings.add(finding.json()));
        ArrayNode servers = document.putArray("model_servers");
        machine.answers().forEach(answer -> {
            if (answer instanceof PortLook.Answer.Server server) {
                ObjectNode one = servers.addObject().put("port", server.port()).put("what", server.what());
                server.models().forEach(one.putArray("models")::add);
            }
        });
        return document;
    }
}
