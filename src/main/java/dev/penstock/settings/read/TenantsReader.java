package dev.penstock.settings.read;

import dev.penstock.settings.source.PenstockConfig;
import dev.penstock.settings.source.TenantConfig;
import dev.penstock.tenant.TenantLimits;
import dev.penstock.wire.ModelName;
import dev.penstock.wire.document.JobDocument;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;

/** Reads the weights and limits of the tenants. */
final class TenantsReader {
    private static final int LONGEST_NAME = ModelName.LONGEST;

    private final Mistakes mistakes;

    TenantsReader(Mistakes mistakes) {
        this.mistakes = mistakes;
    }

    Map<String, TenantLimits> read(Map<String, TenantConfig> tenants) {
        Map<String, TenantLimits> all = new HashMap<>();
        tenants.forEach((name, tenant) -> {
            String key = "tenants." + name;
            if (!isName(name)) {
                mistakes.mistake(
                        "tenants", "a tenant's name has 1 to %d characters on one line".formatted(LONGEST_NAME));
            } else if (name.equals(JobDocument.TENANT_FROM_RECORD)) {
                mistakes.mistake(key, "is no name of a tenant: it marks the topics whose records name their tenants");
            }
            mistakes.atLeast(key + ".weight", tenant.weight(), 1);
            all.put(
                    name,
                    new TenantLimits(
                            tenant.weight(),
                            limit(key + ".max-in-flight", tenant.maxInFlight()),
                            limit(key + ".requests-per-minute", tenant.requestsPerMinute()),
                            limit(key + ".tokens-per-minute", tenant.tokensPerMinute())));
        });
        return all;
    }

    private OptionalInt limit(String key, Optional<Integer> value) {
        value.ifPresent(limit -> mistakes.atLeast(key, limit, 1));
        return value.map(OptionalInt::of).orElse(OptionalInt.empty());
    }

    private static boolean isName(String name) {
        return !name.isBlank() && name.length() <= LONGEST_NAME && name.chars().noneMatch(Character::isISOControl);
    }

    /** Returns a warning for each tenant that no job can have. */
    static List<String> withoutEffect(PenstockConfig config) {
        Set<String> possible = config.intake()
                .topics()
                .map(topics -> topics.stream()
                        .map(PenstockConfig.IntakeTopicConfig::tenant)
                        .collect(Collectors.toSet()))
                .orElse(Set.of(JobDocument.DEFAULT_TENANT));
        return possible.contains(JobDocument.TENANT_FROM_RECORD)
                ? List.of()
                : config.tenants().keySet().stream()
                        .filter(tenant -> !possible.contains(tenant))
                        .sorted()
                        .map(tenant ->
                                "penstock.tenants.%s has no effect: no topic in penstock.intake.topics has this tenant, and none has tenant: from-record"
                                        .formatted(tenant))
                        .toList();
    }
}
