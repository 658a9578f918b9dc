package dev.penstock.intake.watch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.settings.read.TestSettings;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.errors.CoordinatorNotAvailableException;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.junit.jupiter.api.Test;

class LimitSharingTest {
    private final Warnings warnings = new Warnings();
    private final LimitSharing limits = new LimitSharing(TestSettings.defaults(), warnings);

    @Test
    void a_limit_that_is_exceeded_is_a_warning_until_it_is_not() throws Exception {
        Map<String, String> two = Map.of("slots.gpu-a", "2 too many", "tenants.acme", "1 too many");
        limits.check(() -> two);
        assertThat(warnings.all()).isEqualTo(two);

        limits.check(() -> Map.of("tenants.acme", "3 too many"));
        assertThat(warnings.all()).isEqualTo(Map.of("tenants.acme", "3 too many"));

        limits.check(Map::of);
        assertThat(warnings.all()).isEmpty();
    }

    @Test
    void without_the_right_to_list_replicas_the_warning_has_the_way_out() throws Exception {
        assertThatThrownBy(() -> limits.check(() -> {
                    throw new ExecutionException(new GroupAuthorizationException("penstock-ledger"));
                }))
                .isInstanceOf(ExecutionException.class);
        assertThat(warnings.all()).containsOnlyKeys("replicas");
        assertThat(warnings.all().get("replicas")).endsWith("Grant DESCRIBE on the group penstock-ledger");

        limits.check(Map::of);
        assertThat(warnings.all()).isEmpty();
    }

    @Test
    void a_failure_that_passes_is_no_warning_and_ends_none() throws Exception {
        limits.check(() -> Map.of("slots.gpu-a", "2 too many"));
        assertThatThrownBy(() -> limits.check(() -> {
                    throw new ExecutionException(new CoordinatorNotAvailableException("elected"));
                }))
                .isInstanceOf(ExecutionException.class);

        assertThat(warnings.all()).containsOnlyKeys("slots.gpu-a");
    }
}
