package dev.penstock.schedule;

import dev.penstock.tenant.FairShare;
import dev.penstock.tenant.RateWindow;
import dev.penstock.tenant.TenantLimits;
import dev.penstock.tenant.TokenEstimate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * The same rules as {@link dev.penstock.tenant.Tenants} in the simplest form: it keeps everything, and counts for each
 * question. It shares only {@link FairShare}, which has a test of its own.
 */
final class NaiveTenants {
    final Map<String, TenantLimits> limits;
    private final FairShare service = new FairShare();
    private final Map<Long, Holder> holders = new HashMap<>();
    private final List<Counted> counted = new ArrayList<>();
    private final Map<String, TokenEstimate> answers = new HashMap<>();
    private final TokenEstimate ofAll = new TokenEstimate();

    private static final class Counted {
        private final String tenant;
        private final long millis;
        private final int requests;
        private long tokens;

        private Counted(String tenant, long millis, int requests, long tokens) {
            this.tenant = tenant;
            this.millis = millis;
            this.requests = requests;
            this.tokens = tokens;
        }

        private boolean counts(long now) {
            return millis + RateWindow.LENGTH_MILLIS > now;
        }
    }

    private static final class Holder {
        private final Counted request;
        private long spent;
        private boolean runs;
        private long prompt;
        private long answer;

        private Holder(Counted request) {
            this.request = request;
        }
    }

    NaiveTenants(Map<String, TenantLimits> limits) {
        this.limits = limits;
    }

    private TenantLimits of(String tenant) {
        return limits.getOrDefault(tenant, TenantLimits.NONE);
    }

    /** @param waiting the tenants of the jobs that wait already */
    void joined(String tenant, List<String> waiting, long nowMillis) {
        if (!isPresent(tenant, waiting)) {
            service.enter(tenant, nowMillis);
        }
    }

    /** @param waiting the tenants of the jobs that still wait */
    void left(String tenant, List<String> waiting) {
        if (!isPresent(tenant, waiting)) {
            service.leave(tenant);
        }
    }

    private boolean isPresent(String tenant, List<String> waiting) {
        return waiting.contains(tenant)
                || holders.values().stream().anyMatch(holder -> holder.request.tenant.equals(tenant));
    }

    int compare(Wait one, Wait other) {
        return service.compare(one.tenant(), other.tenant());
    }

    void granted(Wait wait, long nowMillis) {
        String tenant = wait.tenant();
        TokenEstimate own = answers.computeIfAbsent(tenant, _ -> new TokenEstimate());
        long prompt = TokenEstimate.prompt(wait.demand().promptChars());
        long answer = (own.isUnknown() ? ofAll : own).answer();
        Holder holder = holders.get(wait.turn());
        if (holder == null) {
            Counted request = new Counted(tenant, nowMillis, 1, prompt + answer);
            counted.add(request);
            holder = new Holder(request);
            holders.put(wait.turn(), holder);
        } else {
            correct(holder.request, holder.spent + prompt + answer, nowMillis);
        }
        holder.runs = true;
        holder.prompt = prompt;
        holder.answer = answer;
        service.charge(tenant, (prompt + 2.0 * answer) / of(tenant).weight(), nowMillis);
    }

    void used(long turn, long prompt, long answer, long nowMillis) {
        Holder holder = Objects.requireNonNull(holders.get(turn));
        if (!holder.runs) {
            return;
        }
        String tenant = holder.request.tenant;
        long read = prompt == 0 && answer > 0 ? holder.prompt : prompt;
        int weight = of(tenant).weight();
        service.correct(
                tenant, (holder.prompt + 2.0 * holder.answer) / weight, (read + 2.0 * answer) / weight, nowMillis);
        correct(holder.request, holder.spent + read + answer, nowMillis);
        if (answer > 0) {
            Objects.requireNonNull(answers.get(tenant)).answered(answer);
            ofAll.answered(answer);
        }
        holder.spent += read + answer;
        holder.runs = false;
    }

    private void correct(Counted request, long actual, long nowMillis) {
        if (request.counts(nowMillis)) {
            request.tokens = actual;
        } else if (actual > request.tokens) {
            counted.add(new Counted(request.tenant, nowMillis, 0, actual - request.tokens));
            request.tokens = actual;
        }
    }

    /** @param waiting the tenants of the jobs that wait */
    void ended(long turn, List<String> waiting) {
        Holder holder = holders.remove(turn);
        if (holder != null) {
            left(holder.request.tenant, waiting);
        }
    }

    boolean mayStart(String tenant, long nowMillis) {
        TenantLimits limit = of(tenant);
        long inFlight = holders.values().stream()
                .filter(holder -> holder.request.tenant.equals(tenant))
                .count();
        List<Counted> minute = counted.stream()
                .filter(each -> each.tenant.equals(tenant) && each.counts(nowMillis))
                .collect(Collectors.toList());
        return inFlight < limit.maxInFlight().orElse(Integer.MAX_VALUE)
                && minute.stream().mapToInt(each -> each.requests).sum()
                        < limit.requestsPerMinute().orElse(Integer.MAX_VALUE)
                && minute.stream().mapToLong(each -> each.tokens).sum()
                        < limit.tokensPerMinute().orElse(Integer.MAX_VALUE);
    }
}
