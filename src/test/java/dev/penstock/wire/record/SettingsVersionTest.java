package dev.penstock.wire.record;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.wire.Json;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SettingsVersionTest {
    private static final ObjectNode NODE = Json.mapper().createObjectNode().put("backend", "vllm");

    @Test
    void of_two_writers_at_once_the_first_counts_and_the_second_has_to_write_again() {
        SettingsVersion start = SettingsVersion.start();
        byte[] first = start.next(start.withNode("a", NODE));
        byte[] second = start.next(start.withNode("b", NODE));

        SettingsVersion after = start.after(0, first).after(1, second);
        assertThat(after.number()).isZero();
        assertThat(after.nodes()).containsOnlyKeys("a");

        SettingsVersion merged = after.after(2, after.next(after.withNode("b", NODE)));
        assertThat(merged.number()).isEqualTo(2);
        assertThat(merged.nodes()).containsOnlyKeys("a", "b");
    }

    @Test
    void nodes_come_and_go_beside_the_mode_of_the_intake() {
        SettingsVersion chosen = version(SettingsVersion.start().withIntake(IntakeMode.CLASSIC, Map.of("t/0", 7L)));

        SettingsVersion with = version(chosen.withNode("a", NODE));
        SettingsVersion without = version(with.withoutNode("a"));

        assertThat(with.nodes()).containsEntry("a", NODE);
        assertThat(with.intakeMode()).contains(IntakeMode.CLASSIC);
        assertThat(without.nodes()).isEmpty();
        assertThat(without.recoverBelow()).containsEntry("t/0", 7L);
        assertThat(version(with.withIntake(IntakeMode.SHARE, Map.of())).nodes()).containsOnlyKeys("a");
    }

    @Test
    void a_reference_belongs_to_its_place_when_its_node_has_gone() {
        SettingsVersion with =
                version(SettingsVersion.start().withNode("a", NODE, "env:PENSTOCK_SECRET_A", "http://a:80"));
        SettingsVersion without = version(with.withoutNode("a"));

        assertThat(with.nodes()).containsOnlyKeys("a");
        assertThat(without.nodes()).isEmpty();
        assertThat(without.secrets()).isEqualTo(Map.of("env:PENSTOCK_SECRET_A", "http://a:80"));
    }

    private static SettingsVersion version(ObjectNode settings) {
        return new SettingsVersion(0, settings);
    }
}
