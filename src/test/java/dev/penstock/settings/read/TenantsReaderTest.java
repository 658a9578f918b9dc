package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.settings.NodeSettings;
import dev.penstock.tenant.TenantLimits;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class TenantsReaderTest {
    private static final Map<String, String> NODE =
            Map.of("penstock.nodes.a.backend", "vllm", "penstock.nodes.a.url", "http://127.0.0.1:1");

    private static Map<String, String> withNode(Map<String, String> keys) {
        Map<String, String> all = new HashMap<>(NODE);
        keys.forEach((key, value) -> all.put("penstock.nodes.a." + key, value));
        return all;
    }

    private static List<String> mistakes(Map<String, String> keys) {
        return SettingsReader.mistakes(TestSettings.config(keys), Map.of(), keys);
    }

    @Test
    void a_tenant_has_a_weight_and_limits() {
        assertThat(TestSettings.defaults().tenants()).isEmpty();
        assertThat(TestSettings.ofFile(Map.of(
                                "penstock.tenants.acme.weight", "3",
                                "penstock.tenants.acme.max-in-flight", "4",
                                "penstock.tenants.acme.requests-per-minute", "60",
                                "penstock.tenants.acme.tokens-per-minute", "9000",
                                "penstock.tenants.\"of.dots\".max-in-flight", "1"))
                        .tenants())
                .isEqualTo(Map.of(
                        "acme",
                        new TenantLimits(3, OptionalInt.of(4), OptionalInt.of(60), OptionalInt.of(9000)),
                        "of.dots",
                        new TenantLimits(1, OptionalInt.of(1), OptionalInt.empty(), OptionalInt.empty())));
    }

    @Test
    void every_wrong_value_is_a_mistake_by_its_key() {
        assertThat(mistakes(Map.of(
                        "penstock.tenants.acme.weight", "0",
                        "penstock.tenants.acme.max-in-flight", "-1",
                        "penstock.tenants.acme.requests-per-minute", "0",
                        "penstock.tenants.acme.tokens-per-minute", "0",
                        "penstock.tenants.from-record.weight", "2")))
                .containsExactlyInAnyOrder(
                        "penstock.tenants.acme.weight: must be at least 1",
                        "penstock.tenants.acme.max-in-flight: must be at least 1",
                        "penstock.tenants.acme.requests-per-minute: must be at least 1",
                        "penstock.tenants.acme.tokens-per-minute: must be at least 1",
                        "penstock.tenants.from-record: is no name of a tenant: it marks the topics whose records name their tenants");
    }

    @Test
    void an_unknown_key_is_refused_and_a_later_one_by_name() {
        Map<String, String> keys = Map.of(
                "penstock.tenants.acme.wieght", "2",
                "penstock.tenants.acme.budget.tokens", "1000",
                "penstock.tenants.\"of.dots\".budget.per", "day",
                "penstock.nodes.gpu-a.priority-headers.high", "x",
                "penstock.prices.tiny.input", "0.2");
        assertThatThrownBy(() -> TestSettings.ofFile(keys))
                .hasMessageContainingAll(
                        "penstock.tenants.acme.wieght: there is no such key. Did you mean penstock.tenants.….weight?",
                        "penstock.tenants.acme.budget.tokens: is not available in this version",
                        "penstock.tenants.\"of.dots\".budget.per: is not available in this version",
                        "penstock.nodes.gpu-a.priority-headers.high: is not available in this version",
                        "penstock.prices.tiny.input: is not available in this version");
    }

    @Test
    void a_tenant_that_no_job_can_have_is_a_warning() {
        Map<String, String> keys = new HashMap<>(Map.of("penstock.tenants.acme.weight", "2"));
        assertThat(SettingsReader.withoutEffect(TestSettings.config(keys)))
                .containsExactly(
                        "penstock.tenants.acme has no effect: no topic in penstock.intake.topics has this tenant, and none has tenant: from-record");

        keys.put("penstock.intake.topics[0].name", "jobs");
        keys.put("penstock.intake.topics[0].tenant", "acme");
        assertThat(SettingsReader.withoutEffect(TestSettings.config(keys))).isEmpty();
        keys.put("penstock.intake.topics[0].tenant", "from-record");
        assertThat(SettingsReader.withoutEffect(TestSettings.config(keys))).isEmpty();
        assertThat(SettingsReader.withoutEffect(TestSettings.config(Map.of("penstock.tenants.default.weight", "2"))))
                .isEmpty();
    }

    @Test
    void a_node_has_limits_of_a_minute_and_an_adaptive_limit() {
        assertThat(TestSettings.ofFile(withNode(Map.of())).nodes().getFirst().limits())
                .isEqualTo(NodeSettings.Limits.NONE);
        assertThat(TestSettings.ofFile(withNode(Map.of(
                                "requests-per-minute", "60",
                                "tokens-per-minute", "100000",
                                "min-in-flight", "4",
                                "adaptive", "true")))
                        .nodes()
                        .getFirst()
                        .limits())
                .isEqualTo(new NodeSettings.Limits(OptionalInt.of(60), OptionalInt.of(100_000), 4, true));
    }

    @Test
    void a_wrong_limit_of_a_node_is_a_mistake_by_its_key() {
        assertThat(mistakes(withNode(Map.of(
                        "requests-per-minute",
                        "0",
                        "tokens-per-minute",
                        "-5",
                        "min-in-flight",
                        "0",
                        "adaptive",
                        "true"))))
                .containsExactlyInAnyOrder(
                        "penstock.nodes.a.requests-per-minute: must be at least 1",
                        "penstock.nodes.a.tokens-per-minute: must be at least 1",
                        "penstock.nodes.a.min-in-flight: must be at least 1");
        assertThat(mistakes(withNode(Map.of("min-in-flight", "2"))))
                .containsExactly("penstock.nodes.a.min-in-flight: has no effect without adaptive: true");
        assertThat(mistakes(withNode(Map.of("min-in-flight", "9", "max-in-flight", "8", "adaptive", "true"))))
                .containsExactly("penstock.nodes.a.min-in-flight: must be at most max-in-flight, 8");
    }
}
