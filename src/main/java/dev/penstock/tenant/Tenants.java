package dev.penstock.tenant;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The tenants of the jobs in this replica: who goes first, and who is over a limit. A job is charged its estimated tokens
 * when it gets a node, so a tenant cannot take all slots with jobs whose tokens come later. At the end of each attempt
 * the estimate is replaced. Each time is an argument, in milliseconds of one clock. Not thread-safe: the scheduler guards
 * it.
 */
public final class Tenants {
    /** A token of an answer costs a node about twice as much as a token of a prompt. */
    private static final double ANSWER_COST = 2;

    /** The records of jobs may name any tenants. So idle tenants above this number are forgotten. */
    private static final int MOST_IDLE = 1_000;

    private final Map<String, TenantLimits> configured;
    private final Set<String> limited = new HashSet<>();
    private final FairShare service = new FairShare();
    private final Map<String, Account> accounts = new HashMap<>();
    /** The jobs that hold a slot of the replica, by turn. */
    private final Map<Long, Charge> charges = new HashMap<>();

    private final TokenEstimate ofAll = new TokenEstimate();
    private Shares shares = (_, limit) -> limit;
    private int replicas = 1;
    /** With more accounts than this, the idle ones are forgotten. */
    private int mostAccounts = MOST_IDLE;

    /** Computes this replica's share of a limit. */
    @FunctionalInterface
    public interface Shares {
        int of(String tenant, int limit);
    }

    /** A limit that a tenant has reached. */
    private enum Limit {
        MAX_IN_FLIGHT("max-in-flight"),
        REQUESTS("requests-per-minute"),
        TOKENS("tokens-per-minute");

        private final String key;

        Limit(String key) {
            this.key = key;
        }
    }

    /** What one tenant does now. */
    private static final class Account {
        private final TenantLimits limits;
        private final RateWindow window;
        private final TokenEstimate answers = new TokenEstimate();
        private int mostInFlight;
        private int waiting;
        private int inFlight;

        private Account(TenantLimits limits, int mostInFlight, RateWindow.Limits rates) {
            this.limits = limits;
            this.mostInFlight = mostInFlight;
            window = new RateWindow(rates);
        }
    }

    /**
     * The charge of a job's present attempt.
     *
     * @param spentBefore the tokens of the job's earlier attempts
     * @param isEstimate whether the attempt still runs
     */
    private record Charge(
            String tenant,
            RateWindow.Begun begun,
            long spentBefore,
            long promptEstimate,
            long answerEstimate,
            boolean isEstimate) {
        private Charge used(long tokens) {
            return new Charge(tenant, begun, spentBefore + tokens, 0, 0, false);
        }
    }

    public Tenants(Map<String, TenantLimits> configured) {
        this.configured = Map.copyOf(configured);
        configured.forEach((tenant, limits) -> {
            if (limits.isLimited()) {
                limited.add(tenant);
            }
        });
    }

    /** Returns whether the tenant has any limit. */
    public boolean isLimited(String tenant) {
        return !limited.isEmpty() && limited.contains(tenant);
    }

    /** A job of the tenant waits. */
    public void joined(String tenant, long nowMillis) {
        Account account = account(tenant);
        if (!service.isPresent(tenant)) {
            service.enter(tenant, nowMillis);
        }
        account.waiting++;
    }

    /** A job of the tenant waits no more. */
    public void left(String tenant) {
        account(tenant).waiting--;
        leaveIfIdle(tenant);
    }

    /**
     * Charges a waiting job that gets a node. If the job gets its first node, it counts for the limits.
     *
     * @param turn identifies the job
     */
    public void granted(long turn, String tenant, long promptChars, long nowMillis) {
        Account account = account(tenant);
        Charge before = charges.get(turn);
        long prompt = TokenEstimate.prompt(promptChars);
        long answer = (account.answers.isUnknown() ? ofAll : account.answers).answer();
        if (before == null) {
            account.inFlight++;
            RateWindow.Begun begun = account.window.begin(prompt + answer, nowMillis);
            charges.put(turn, new Charge(tenant, begun, 0, prompt, answer, true));
        } else {
            account.window.correct(before.begun(), before.spentBefore() + prompt + answer, nowMillis);
            charges.put(turn, new Charge(tenant, before.begun(), before.spentBefore(), prompt, answer, true));
        }
        service.charge(tenant, cost(prompt, answer) / account.limits.weight(), nowMillis);
    }

    /**
     * Replaces the estimate by the tokens of an attempt that has ended.
     *
     * @param prompt the tokens of the prompt; 0 if the node did not report them
     * @param answer the tokens of the answer, or of its part that arrived
     */
    public void used(long turn, long prompt, long answer, long nowMillis) {
        Charge charge = charges.get(turn);
        if (charge == null || !charge.isEstimate()) {
            return;
        }
        Account account = account(charge.tenant());
        long ofPrompt = prompt == 0 && answer > 0 ? charge.promptEstimate() : prompt;
        service.correct(
                charge.tenant(),
                cost(charge.promptEstimate(), charge.answerEstimate()) / account.limits.weight(),
                cost(ofPrompt, answer) / account.limits.weight(),
                nowMillis);
        account.window.correct(charge.begun(), charge.spentBefore() + ofPrompt + answer, nowMillis);
        if (answer > 0) {
            account.answers.answered(answer);
            ofAll.answered(answer);
        }
        charges.put(turn, charge.used(ofPrompt + answer));
    }

    /** A job gives back its slot of the replica. */
    public void ended(long turn) {
        Charge charge = charges.remove(turn);
        if (charge != null) {
            account(charge.tenant()).inFlight--;
            leaveIfIdle(charge.tenant());
        }
    }

    /** Compares two tenants: the one with the least attained service goes first. */
    public int compare(String one, String other) {
        return service.compare(one, other);
    }

    /** Returns whether a job of the tenant may start now. */
    public boolean mayStart(String tenant, long nowMillis) {
        return !isLimited(tenant) || reached(account(tenant), nowMillis) == null;
    }

    /** Returns how many jobs of the tenant may start now. */
    public int room(String tenant, long nowMillis) {
        if (!isLimited(tenant)) {
            return Integer.MAX_VALUE;
        }
        Account account = account(tenant);
        return Math.max(0, Math.min(account.mostInFlight - account.inFlight, account.window.room(nowMillis)));
    }

    /** Returns the next time at which a waiting job may start because a minute is over; {@link Long#MAX_VALUE} if none. */
    public long nextMillis(long nowMillis) {
        long next = Long.MAX_VALUE;
        for (String tenant : limited) {
            Account account = accounts.get(tenant);
            if (account != null && account.waiting > 0 && account.inFlight < account.mostInFlight) {
                long opens = account.window.opensInMillis(nowMillis);
                next = opens > 0 ? Math.min(next, nowMillis + opens) : next;
            }
        }
        return next;
    }

    /** Returns the milliseconds until the tenant's last minute has room; 0 if it has room now. */
    public long opensInMillis(String tenant, long nowMillis) {
        return isLimited(tenant) ? account(tenant).window.opensInMillis(nowMillis) : 0;
    }

    /** Returns which limit the tenant has reached, how much of it is used, and when it frees; empty if none. */
    public Optional<String> obstacle(String tenant, long nowMillis) {
        if (!isLimited(tenant)) {
            return Optional.empty();
        }
        Account account = account(tenant);
        Limit reached = reached(account, nowMillis);
        RateWindow.Limits rates = account.window.limits(nowMillis);
        String seconds = "a job may start in %d s".formatted((account.window.opensInMillis(nowMillis) + 999) / 1_000);
        return reached == null
                ? Optional.empty()
                : Optional.of("tenant '%s' has reached its %s: %s"
                        .formatted(
                                tenant,
                                reached.key,
                                switch (reached) {
                                    case MAX_IN_FLIGHT ->
                                        use(account.inFlight, account.mostInFlight, "jobs in flight")
                                                + "; a job may start when one of them ends";
                                    case REQUESTS ->
                                        use(account.window.requests(nowMillis), rates.requests(), "jobs in a minute")
                                                + "; " + seconds;
                                    case TOKENS ->
                                        use(account.window.tokens(nowMillis), rates.tokens(), "tokens in a minute")
                                                + "; " + seconds;
                                }));
    }

    private String use(long used, int limit, String what) {
        return replicas == 1
                ? "%d of %d %s".formatted(used, limit, what)
                : "%d of %d %s at this replica, which is one of %d".formatted(used, limit, what, replicas);
    }

    /** Divides the limits among the live replicas. */
    public void share(Shares now, int count, long nowMillis) {
        shares = now;
        replicas = count;
        accounts.forEach((tenant, account) -> {
            account.mostInFlight = share(tenant, account.limits.maxInFlight());
            account.window.limit(rates(tenant, account.limits), nowMillis);
        });
    }

    /** Returns, by tenant, a warning for each limit that is smaller than the number of replicas. */
    public Map<String, String> exceeded() {
        Map<String, String> words = new TreeMap<>();
        for (String tenant : limited) {
            TenantLimits limits = Objects.requireNonNull(configured.get(tenant));
            exceeded(tenant, Limit.TOKENS, limits.tokensPerMinute()).ifPresent(why -> words.put(tenant, why));
            exceeded(tenant, Limit.REQUESTS, limits.requestsPerMinute()).ifPresent(why -> words.put(tenant, why));
            exceeded(tenant, Limit.MAX_IN_FLIGHT, limits.maxInFlight()).ifPresent(why -> words.put(tenant, why));
        }
        return words;
    }

    private Optional<String> exceeded(String tenant, Limit limit, OptionalInt value) {
        return value.isPresent() && value.getAsInt() < replicas
                ? Optional.of(
                        "tenant '%s' has %s %d, and there are %d replicas, each of which takes one at least. Run fewer replicas, or raise %s"
                                .formatted(tenant, limit.key, value.getAsInt(), replicas, limit.key))
                : Optional.empty();
    }

    private static @Nullable Limit reached(Account account, long nowMillis) {
        if (account.inFlight >= account.mostInFlight) {
            return Limit.MAX_IN_FLIGHT;
        }
        if (account.window.hasRoom(nowMillis)) {
            return null;
        }
        return account.window.requests(nowMillis)
                        >= account.window.limits(nowMillis).requests()
                ? Limit.REQUESTS
                : Limit.TOKENS;
    }

    /** Returns how many tenants are remembered. */
    int size() {
        return accounts.size();
    }

    private static double cost(long prompt, long answer) {
        return prompt + ANSWER_COST * answer;
    }

    private Account account(String tenant) {
        Account known = accounts.get(tenant);
        if (known == null) {
            forgetIdle();
            TenantLimits limits = configured.getOrDefault(tenant, TenantLimits.NONE);
            known = new Account(limits, share(tenant, limits.maxInFlight()), rates(tenant, limits));
            accounts.put(tenant, known);
        }
        return known;
    }

    private void forgetIdle() {
        if (accounts.size() > mostAccounts) {
            accounts.keySet().removeIf(tenant -> !service.isPresent(tenant) && !configured.containsKey(tenant));
            mostAccounts = accounts.size() + MOST_IDLE;
        }
    }

    private void leaveIfIdle(String tenant) {
        Account account = account(tenant);
        if (account.waiting <= 0 && account.inFlight <= 0) {
            service.leave(tenant);
        }
    }

    private RateWindow.Limits rates(String tenant, TenantLimits limits) {
        return new RateWindow.Limits(
                share(tenant, limits.requestsPerMinute()), share(tenant, limits.tokensPerMinute()));
    }

    private int share(String tenant, OptionalInt limit) {
        return limit.isPresent() ? shares.of(tenant, limit.getAsInt()) : Integer.MAX_VALUE;
    }
}
