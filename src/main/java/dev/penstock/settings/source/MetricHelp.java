package dev.penstock.settings.source;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.config.MeterFilter;
import java.util.Map;

/** The HELP text of each metric. All texts are here, because several classes register the same counter. */
public final class MetricHelp implements MeterFilter {
    static final Map<String, String> TEXTS = Map.ofEntries(
            Map.entry("penstock.jobs", "Jobs that ended, by outcome, task, backend and pool"),
            Map.entry("penstock.jobs.in.flight", "Requests that run at a node now"),
            Map.entry("penstock.jobs.waiting", "Jobs in this replica that wait for a node"),
            Map.entry("penstock.calls.in.flight", "Direct calls that run at a node now"),
            Map.entry("penstock.calls.waiting", "Direct calls in this replica that wait for a node"),
            Map.entry("penstock.calls.refused", "Direct calls that got no node, by the code of the error"),
            Map.entry(
                    "penstock.jobs.parked",
                    "Jobs in this replica that only wait: for their turn, a node or an earlier run"),
            Map.entry("penstock.job.queue.seconds", "From a job's acceptance to the start of its first attempt"),
            Map.entry("penstock.node.slots", "Requests that a node takes at once from this replica"),
            Map.entry(
                    "penstock.model.swaps",
                    "Jobs of this replica for which a node had to load a model in place of another one, by node"),
            Map.entry("penstock.deadline.missed", "Jobs that ended because their deadline was over"),
            Map.entry("penstock.node.up", "1 while a node is up, else 0"),
            Map.entry("penstock.paused", "1 for each topic, pool and node that an operator has paused"),
            Map.entry("penstock.node.breaker", "The circuit breaker of a node: 0 closed, 1 half open, 2 open"),
            Map.entry(
                    "penstock.node.load.seconds",
                    "The time until a node has read the prompts of this replica that wait for a first token"),
            Map.entry("penstock.queue.lag", "Records of a topic that are not finished"),
            Map.entry("penstock.queue.in.hand", "Records of a topic that are in flight in this replica"),
            Map.entry(
                    "penstock.queue.taken.timestamp.seconds",
                    "The timestamp of the newest record that this replica took from a topic"),
            Map.entry(
                    "penstock.intake.window.used", "The used part of a partition's window of record locks; 1 is full"),
            Map.entry("penstock.intake.bytes", "Bytes of the records in flight in this replica"),
            Map.entry("penstock.share.fetches", "Requests of Penstock's share client for records, by topic"),
            Map.entry("penstock.share.bytes", "Bytes of the batches that Penstock's share client received, by topic"),
            Map.entry("penstock.share.disconnects", "Connections that Penstock's share client lost, by topic"),
            Map.entry("penstock.share.records", "Records of Penstock's share client, by topic and by what it did"),
            Map.entry("penstock.media.bytes", "Bytes of images fetched for jobs that this replica holds"),
            Map.entry("penstock.thread.failures", "Unexpected exceptions that background threads survived, by thread"),
            Map.entry(
                    "penstock.records.unreadable",
                    "Records that were skipped because their reading failed unexpectedly"),
            Map.entry(
                    "penstock.topic.unbounded",
                    "1 where a topic's size limit bounds compressed records only, so that a small one may grow, else 0"),
            Map.entry("penstock.deliveries", "Records that were taken, by their delivery count"),
            Map.entry("penstock.deferred.strange", "Records of the deferred topic that Penstock did not write"),
            Map.entry("penstock.deferred", "Jobs that were deferred, by delay"),
            Map.entry("penstock.ledger.lag.seconds", "How far the ledger is behind the topics"),
            Map.entry("penstock.ledger.set.apart", "Records that the ledger cannot hold and skipped, by topic"),
            Map.entry("penstock.attempts", "Attempts of jobs that ended, by node and outcome"),
            Map.entry("penstock.route", "Jobs that got their first node, by routing rule and pool"),
            Map.entry(
                    "penstock.failovers",
                    "Attempts that continued a failed attempt's text, and those that started over elsewhere"),
            Map.entry("penstock.hedged", "Second requests to another node, because the first one sent no token"),
            Map.entry("penstock.result.invalid", "Answers that did not fit the schema of their job"),
            Map.entry("penstock.preempted", "Attempts that stopped so that a job of higher priority gets their slot"),
            Map.entry("penstock.streams.interrupted", "Answers that broke off after their first token, by backend"),
            Map.entry("penstock.duplicates", "Records that repeated a known job and were not run"),
            Map.entry("penstock.dlq", "Records that went to the dead-letter topic, by reason"),
            Map.entry("penstock.webhooks", "Posts of outcomes to webhooks, by webhook and result"),
            Map.entry("penstock.webhooks.in.flight", "Outcomes in this replica that are being posted or wait for it"),
            Map.entry("penstock.webhooks.strange", "Records of the webhook topic that Penstock did not write"),
            Map.entry("penstock.lost", "Jobs whose record the broker dropped before they ended"),
            Map.entry("penstock.audit.rounds", "Rounds of the search for lost jobs"),
            Map.entry(
                    "penstock.suspects",
                    "Quarantined jobs that run: two or more of their earlier runs ended without an outcome"),
            Map.entry("penstock.settings.version", "The version of the run-time settings in force"),
            Map.entry("penstock.tenant.jobs", "Jobs of a tenant that ended, by outcome"),
            Map.entry("penstock.tenant.tokens", "Tokens of a tenant, input and output"),
            Map.entry("gen_ai.server.time_to_first_token", "From the request to the first token"),
            Map.entry("gen_ai.server.time_per_output_token", "Time per token after the first"),
            Map.entry("gen_ai.client.token.usage", "Tokens of an answer, input and output"));

    @Override
    public Meter.Id map(Meter.Id id) {
        String help = id.getDescription() == null ? TEXTS.get(id.getName()) : null;
        return help == null
                ? id
                : new Meter.Id(id.getName(), Tags.of(id.getTags()), id.getBaseUnit(), help, id.getType());
    }
}
