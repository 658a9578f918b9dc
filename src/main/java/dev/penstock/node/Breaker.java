package dev.penstock.node;

import dev.penstock.settings.Settings;

/**
 * The circuit breaker of one node. It stops the jobs for a node that answers its probes but fails or hangs its jobs, and
 * lets one job through in each interval to find out whether the node works again. Each value is one state. An event
 * returns the next state. Times are arguments, in milliseconds of one clock. Each attempt at the node has a number; the
 * numbers grow.
 */
sealed interface Breaker {
    /** The time within which failures with one cause, such as the death of the server, arrive. They count once. */
    long ONE_EVENT_MILLIS = 100;

    /**
     * The rules of a breaker.
     *
     * @param window the number of latest attempts that decide; at most {@link Outcomes#MOST}
     * @param failureRate the share of failed attempts that opens the breaker; above 0, at most 1
     * @param minimum the smallest number of attempts that can open the breaker by their share
     * @param halfOpenMillis the time from the opening to the first job that tries the node, and between such jobs
     */
    record Rules(int window, double failureRate, int minimum, long halfOpenMillis) {
        static Rules of(Settings.Breaker settings) {
            return new Rules(
                    settings.window(),
                    settings.failureRate(),
                    settings.minimum(),
                    Math.max(1, settings.halfOpenAfter().toMillis()));
        }

        public Rules {
            if (window < 1 || window > Outcomes.MOST || minimum < 1 || minimum > window) {
                throw new IllegalArgumentException("window %d, minimum %d".formatted(window, minimum));
            }
            if (!(failureRate > 0) || failureRate > 1 || halfOpenMillis < 1) {
                throw new IllegalArgumentException("rate %s, half open %d".formatted(failureRate, halfOpenMillis));
            }
        }
    }

    /** What a failed attempt shows about its node. */
    enum Blame {
        /** Nothing: the job was the cause, or the node refused it for load. */
        NONE,
        /** The node failed this one attempt. */
        ONE,
        /** The connection was refused or lost. The attempts that fail with it at the same moment have the same cause. */
        CONNECTION,
        /** The node was silent towards all of its attempts for a whole timeout. This opens the breaker at once. */
        ALL
    }

    /**
     * The outcomes of the latest attempts.
     *
     * @param failed one bit for each attempt, the latest first; 1 if it failed
     * @param count the number of attempts
     */
    record Outcomes(long failed, int count) {
        static final int MOST = 64;
        static final Outcomes NONE = new Outcomes(0, 0);

        Outcomes with(boolean hasFailed, int window) {
            long kept = window == MOST ? -1L : (1L << window) - 1;
            return new Outcomes((failed << 1 | (hasFailed ? 1 : 0)) & kept, Math.min(window, count + 1));
        }

        boolean opens(Rules rules) {
            return count >= rules.minimum() && Long.bitCount(failed) >= rules.failureRate() * count;
        }
    }

    /**
     * All jobs may use the node.
     *
     * @param from the number of the first attempt that counts; earlier attempts began while the breaker was open
     * @param lostMillis the time of the last lost connection that counted
     */
    record Closed(Outcomes outcomes, long from, long lostMillis) implements Breaker {
        static final Closed FIRST = new Closed(Outcomes.NONE, 0, Long.MIN_VALUE / 2);

        private Closed with(boolean failed, Rules rules) {
            return new Closed(outcomes.with(failed, rules.window()), from, lostMillis);
        }
    }

    /** No job may use the node before this time. */
    record Open(long tryMillis) implements Breaker {}

    /**
     * A job tries the node.
     *
     * @param first the number of the first attempt that tries the node
     * @param last the number of the latest such attempt
     * @param tryMillis the time from which a further job may try the node, if the earlier one has no result by then
     */
    record HalfOpen(long first, long last, long tryMillis) implements Breaker {}

    /** Returns whether an attempt may begin now. */
    default boolean allows(long nowMillis) {
        return switch (this) {
            case Closed _ -> true;
            case Open(long tryMillis) -> nowMillis >= tryMillis;
            case HalfOpen(long _, long _, long tryMillis) -> nowMillis >= tryMillis;
        };
    }

    /** Returns the milliseconds until the next attempt may begin; negative if the breaker is closed. */
    default long triesInMillis(long nowMillis) {
        return switch (this) {
            case Closed _ -> -1;
            case Open(long tryMillis) -> Math.max(0, tryMillis - nowMillis);
            case HalfOpen(long _, long _, long tryMillis) -> Math.max(0, tryMillis - nowMillis);
        };
    }

    /** An attempt has begun. */
    default Breaker begun(long attempt, long nowMillis, Rules rules) {
        return switch (this) {
            case Closed _ -> this;
            case Open _ -> new HalfOpen(attempt, attempt, nowMillis + rules.halfOpenMillis());
            case HalfOpen(long first, long _, long _) ->
                new HalfOpen(first, attempt, nowMillis + rules.halfOpenMillis());
        };
    }

    /** The node gave the whole answer of an attempt. */
    default Breaker answered(long attempt, long latest, Rules rules) {
        return switch (this) {
            case Closed closed -> attempt < closed.from() ? closed : closed.with(false, rules);
            case Open _ -> this;
            case HalfOpen(long first, long _, long _) ->
                attempt < first ? this : new Closed(Outcomes.NONE, latest + 1, Long.MIN_VALUE / 2);
        };
    }

    /** An attempt has failed. */
    default Breaker failed(long attempt, Blame blame, long nowMillis, Rules rules) {
        return switch (this) {
            case Closed closed ->
                switch (blame) {
                    case NONE -> closed;
                    case ALL -> attempt < closed.from() ? closed : new Open(nowMillis + rules.halfOpenMillis());
                    case ONE -> attempt < closed.from() ? closed : opened(closed.with(true, rules), nowMillis, rules);
                    case CONNECTION -> {
                        boolean counts =
                                attempt >= closed.from() && nowMillis - closed.lostMillis() >= ONE_EVENT_MILLIS;
                        yield counts
                                ? opened(
                                        new Closed(
                                                closed.outcomes().with(true, rules.window()), closed.from(), nowMillis),
                                        nowMillis,
                                        rules)
                                : closed;
                    }
                };
            case Open open -> open;
            // the time stays: a node that fails at once gets one job in each interval too
            case HalfOpen(long _, long last, long tryMillis) ->
                attempt == last && blame != Blame.NONE ? new Open(tryMillis) : this;
        };
    }

    private static Breaker opened(Closed closed, long nowMillis, Rules rules) {
        return closed.outcomes().opens(rules) ? new Open(nowMillis + rules.halfOpenMillis()) : closed;
    }

    /** Returns the state's name for users. */
    default String wireName() {
        return switch (this) {
            case Closed _ -> "closed";
            case Open _ -> "open";
            case HalfOpen _ -> "half_open";
        };
    }

    /** Returns the state as a number: 0 closed, 1 half open, 2 open. */
    default int level() {
        return switch (this) {
            case Closed _ -> 0;
            case HalfOpen _ -> 1;
            case Open _ -> 2;
        };
    }
}
