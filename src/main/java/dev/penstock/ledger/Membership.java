package dev.penstock.ledger;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

/** Who else keeps a ledger. With SQLite nobody may: each would know a part of the jobs only. */
final class Membership {
    private static final Duration LOOK_EVERY = Duration.ofMillis(500);

    private Membership() {}

    /**
     * Waits until a replica that is gone has left the group.
     *
     * @param instance our own name in the group; a process that died under it is no other
     * @throws LedgerDatabase.Unusable another one is still there
     */
    static void awaitAlone(Admin admin, String instance) throws InterruptedException, LedgerDatabase.Unusable {
        long until =
                System.nanoTime() + Projector.SESSION_TIMEOUT.plusSeconds(4).toNanos();
        while (!others(admin, instance).isEmpty()) {
            if (System.nanoTime() > until) {
                throw new LedgerDatabase.Unusable(
                        "another replica keeps a ledger for these topics, and SQLite serves one replica only: stop the other, or run all of them with penstock.ledger.kind=postgresql (and penstock.ledger.url)");
            }
            TimeUnit.NANOSECONDS.sleep(LOOK_EVERY.toNanos());
        }
    }

    static List<MemberDescription> others(Admin admin, String instance) throws InterruptedException {
        try {
            return admin.describeConsumerGroups(List.of(Projector.GROUP)).all().get().values().stream()
                    .flatMap(group -> group.members().stream())
                    .filter(member -> !member.groupInstanceId().orElse("").equals(instance))
                    .toList();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof GroupIdNotFoundException) {
                return List.of();
            }
            throw e.getCause() instanceof KafkaException kafka ? kafka : new KafkaException(e);
        }
    }
}
