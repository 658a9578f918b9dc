package dev.penstock.job;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class JobIdTest {
    private static final UUID TOPIC = UUID.fromString("6f9619ff-8b86-4d01-b42d-00cf4fc964ff");
    private static final Instant TIME = Instant.parse("2026-11-21T10:00:00.123Z");

    @Test
    void a_derived_id_is_the_same_at_every_delivery_and_carries_the_records_time() {
        JobId once = JobId.derived(TOPIC, 3, 1042, TIME);
        JobId again = JobId.derived(TOPIC, 3, 1042, TIME);

        assertThat(again).isEqualTo(once);
        UUID uuid = UUID.fromString(once.value());
        assertThat(uuid.version()).isEqualTo(7);
        assertThat(uuid.variant()).isEqualTo(2);
        assertThat(uuid.getMostSignificantBits() >>> 16).isEqualTo(TIME.toEpochMilli());
    }

    @Test
    void in_a_path_dots_alone_are_another_place() {
        assertThat(List.of(".", "..", "", "a/b", "a b", "ä", "a\n", "x".repeat(129)))
                .noneMatch(JobId::isValid);
        assertThat(List.of("...", ".a", "a..", "-", "_.", ":", "x".repeat(128))).allMatch(JobId::isValid);
        assertThat(new JobId("..").value()).as("of an old ledger").isEqualTo("..");
    }

    @Test
    void another_place_gives_another_id() {
        JobId id = JobId.derived(TOPIC, 3, 1042, TIME);

        assertThat(JobId.derived(TOPIC, 3, 1043, TIME)).isNotEqualTo(id);
        assertThat(JobId.derived(TOPIC, 2, 1042, TIME)).isNotEqualTo(id);
        assertThat(JobId.derived(UUID.randomUUID(), 3, 1042, TIME)).isNotEqualTo(id);
    }

    @Test
    void an_idempotency_key_gives_one_id_per_tenant() {
        JobId id = JobId.fromIdempotencyKey("acme", "order-42");

        assertThat(JobId.fromIdempotencyKey("acme", "order-42")).isEqualTo(id);
        assertThat(JobId.fromIdempotencyKey("other", "order-42")).isNotEqualTo(id);
        assertThat(UUID.fromString(id.value()).version()).isEqualTo(8);
    }

    @Test
    void a_fresh_id_sorts_by_time() {
        JobId early = JobId.fresh(TIME, new Random(1));
        JobId late = JobId.fresh(TIME.plusMillis(1), new Random(2));

        assertThat(early.value()).isLessThan(late.value());
    }

    @Test
    void what_is_no_id_is_refused() {
        assertThatThrownBy(() -> new JobId("a b")).hasMessageContaining("1 to 128 characters");
        assertThat(JobId.isValid("x".repeat(129))).isFalse();
        assertThat(JobId.isValid("")).isFalse();
        assertThat(JobId.isValid("a.b_c:d-9")).isTrue();
    }
}
