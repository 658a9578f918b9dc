package dev.penstock.wire.record;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class PausesTest {
    private static final Instant NOW = Instant.parse("2026-11-30T12:00:00Z");

    private static Pauses.Pause pause(Pauses.Kind kind, String name, Instant since) {
        return new Pauses.Pause(kind, name, since);
    }

    private static SettingsVersion with(Pauses pauses) {
        SettingsVersion start = SettingsVersion.start();
        return start.after(0, start.next(start.withPauses(pauses)));
    }

    @Test
    void pauses_are_kept_in_the_settings() {
        Pauses pauses = Pauses.NONE
                .with(pause(Pauses.Kind.NODE, "gpu-a", NOW))
                .with(pause(Pauses.Kind.POOL, "gpu", NOW))
                .with(pause(Pauses.Kind.TOPIC, "prompt-jobs", NOW));

        assertThat(with(pauses).pauses()).isEqualTo(pauses);
        assertThat(with(pauses).pauses().all())
                .extracting(Pauses.Pause::name)
                .containsExactly("prompt-jobs", "gpu", "gpu-a");
        assertThat(with(Pauses.NONE).pauses()).isEqualTo(Pauses.NONE);
    }

    @Test
    void a_pause_that_exists_keeps_its_time() {
        Pauses once = Pauses.NONE.with(pause(Pauses.Kind.NODE, "gpu-a", NOW));

        assertThat(once.with(pause(Pauses.Kind.NODE, "gpu-a", NOW.plusSeconds(9))))
                .isEqualTo(once);
        assertThat(once.without(Pauses.Kind.POOL, "gpu-a")).isEqualTo(once);
        assertThat(once.without(Pauses.Kind.NODE, "gpu-a")).isEqualTo(Pauses.NONE);
    }

    @Test
    void a_pause_of_a_pool_holds_for_each_of_its_nodes() {
        Pauses pauses = Pauses.NONE.with(pause(Pauses.Kind.POOL, "gpu", NOW));

        assertThat(pauses.ofNode("any", "gpu")).contains(pause(Pauses.Kind.POOL, "gpu", NOW));
        assertThat(pauses.ofNode("gpu", "cpu")).isEmpty();
    }

    @Test
    void what_penstock_never_writes_is_left_out() {
        byte[] record =
                "{\"based_on\":-1,\"settings\":{\"pauses\":{\"node\":{\"a\":\"soon\",\"b\":7,\"c\":\"2026-11-30T12:00:00Z\"},\"rack\":{},\"topic\":[]}}}"
                        .getBytes(StandardCharsets.UTF_8);

        assertThat(SettingsVersion.start().after(0, record).pauses())
                .isEqualTo(Pauses.NONE.with(pause(Pauses.Kind.NODE, "c", NOW)));
    }
}
