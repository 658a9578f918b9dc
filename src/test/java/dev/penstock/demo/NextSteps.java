package dev.penstock.demo;

import dev.penstock.testkit.BrokerProcess;
import dev.penstock.testkit.PenstockProcess;
import java.io.PrintStream;
import java.net.URI;

/** The commands to try while the demo is up. */
record NextSteps(PrintStream out, PenstockProcess penstock, BrokerProcess broker, ModelServer models) {

    void print() {
        URI url = penstock.url();
        String kafka = broker.bootstrap();
        out.println();
        out.println("All of it stays up until Ctrl-C. Try, in another terminal:");
        out.println();
        out.println("  # a job over REST, its events as they come");
        out.println(
                "  curl -N " + url + "/v1/jobs -H 'Content-Type: application/json' -H 'Accept: text/event-stream' \\");
        out.println("    -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"max_tokens\":50}'");
        out.println("  # accepted now, watched later, cancelled");
        out.println("  curl " + url + "/v1/jobs -H 'Content-Type: application/json' \\");
        out.println("    -d '{\"prompt\":\"Once upon a time\",\"job\":{\"id\":\"mine-1\"}}'");
        out.println("  curl -N " + url + "/v1/jobs/mine-1/events");
        out.println("  curl -X DELETE " + url + "/v1/jobs/mine-1 -H 'Content-Type: application/json'");
        out.println("  # the model servers and what they have");
        out.println("  curl " + url + "/v1/nodes");
        out.println("  curl " + url + "/v1/models");
        out.println("  # a job over Kafka, and every event");
        out.println(
                "  echo '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"job\":{\"id\":\"mine-2\"}}' \\");
        out.println("    | kcat -b " + kafka + " -t prompt-jobs -P");
        out.println("  kcat -b " + kafka + " -t prompt-replies -C -q -f '%k %h\\n%s\\n\\n'");
        out.println("  # Penstock's own client");
        out.println("  export PENSTOCK_URL=" + url);
        out.println("  bin/penstock submit \"Hello\"");
        out.println("  bin/penstock submit --kafka " + kafka + " \"Hello\"");
        out.println("  bin/penstock list");
        out.println("  bin/penstock help");
        out.println();
        out.println("  topics      prompt-jobs-high, prompt-jobs, prompt-jobs-low, prompt-replies, prompt-commands,"
                + " prompt-jobs-dlq");
        out.println("  Swagger UI  " + url + "/q/swagger-ui");
        out.println("  metrics     " + penstock.managementUrl() + "/q/metrics");
        out.println("  the model   " + models.model() + " at " + models.url());
        out.println("  logs        " + penstock.process().outputFile().getParent());
    }
}
