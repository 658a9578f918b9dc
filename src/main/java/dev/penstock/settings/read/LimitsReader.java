package dev.penstock.settings.read;

import dev.penstock.settings.Settings;
import dev.penstock.settings.source.AdmissionConfig;
import dev.penstock.settings.source.AnswersConfig;
import dev.penstock.settings.source.PenstockConfig;
import io.quarkus.runtime.configuration.MemorySize;

/** Reads the limits of the API, of waiting calls, of failing nodes and of the model servers' answers. */
final class LimitsReader {
    /**
     * A default limit is the size of the largest heap divided by this number. A running job takes several times the
     * size of its record.
     */
    private static final int HEAP_SHARE = 16;

    private static final int SMALLEST_SIZE = 1024;
    private static final int LARGEST_SIZE = 1 << 30;

    private final Mistakes mistakes;

    LimitsReader(Mistakes mistakes) {
        this.mistakes = mistakes;
    }

    /** Returns the default limit of an amount of memory, in bytes. */
    static long ofHeap() {
        return Runtime.getRuntime().maxMemory() / HEAP_SHARE;
    }

    Settings.Api api(PenstockConfig.ApiConfig api) {
        mistakes.atLeast("api.max-lines", api.maxLines(), 1);
        mistakes.atLeast("api.max-streams", api.maxStreams(), 1);
        mistakes.positive("api.header-timeout", api.headerTimeout());
        mistakes.positive("api.body-timeout", api.bodyTimeout());
        mistakes.positive("api.idle-timeout", api.idleTimeout());
        mistakes.positive("api.answer-timeout", api.answerTimeout());
        int stream = size("api.max-stream-bytes", api.maxStreamBytes());
        long streams = api.maxStreamsBytes().map(MemorySize::asLongValue).orElse(Math.max(stream, ofHeap()));
        if (streams < stream) {
            mistakes.mistake("api.max-streams-bytes", "must be at least api.max-stream-bytes, " + stream);
        }
        return new Settings.Api(
                api.maxLines(),
                api.headerTimeout(),
                api.bodyTimeout(),
                api.idleTimeout(),
                api.answerTimeout(),
                api.maxStreams(),
                stream,
                streams);
    }

    Settings.Answers answers(AnswersConfig answers) {
        long bytes = answers.maxBytes()
                .map(MemorySize::asLongValue)
                .orElse(Math.clamp(ofHeap(), SMALLEST_SIZE, Settings.Answers.USUAL.bytes()));
        if (bytes < SMALLEST_SIZE) {
            mistakes.mistake("answers.max-bytes", "must be at least " + SMALLEST_SIZE);
        }
        size("answers.max-pull", answers.maxPull());
        return new Settings.Answers(
                bytes,
                size("answers.max-line", answers.maxLine()),
                size("answers.max-listing", answers.maxListing()),
                size("answers.max-embeddings", answers.maxEmbeddings()),
                answers.maxPull().asLongValue());
    }

    /** Reads the limits of failing nodes. If one is wrong, all defaults apply. */
    Settings.Breaker breaker(PenstockConfig.BreakerConfig breaker) {
        int before = mistakes.lines().size();
        int window = breaker.window();
        if (window < 1 || window > Settings.Breaker.MOST) {
            mistakes.mistake("breaker.window", "must be from 1 to " + Settings.Breaker.MOST);
        }
        mistakes.atLeast("breaker.minimum", breaker.minimum(), 1);
        if (breaker.minimum() > window) {
            mistakes.mistake("breaker.minimum", "must be at most breaker.window, " + window);
        }
        if (!(breaker.failureRate() > 0) || breaker.failureRate() > 1) {
            mistakes.mistake("breaker.failure-rate", "must be above 0 and at most 1");
        }
        mistakes.positive("breaker.half-open-after", breaker.halfOpenAfter());
        return mistakes.lines().size() > before
                ? Settings.Breaker.USUAL
                : new Settings.Breaker(window, breaker.failureRate(), breaker.minimum(), breaker.halfOpenAfter());
    }

    Settings.Admission admission(AdmissionConfig admission) {
        mistakes.atLeast("admission.max-waiting", admission.maxWaiting(), 0);
        if (!(admission.interactiveShare() >= 0 && admission.interactiveShare() <= 1)) {
            mistakes.mistake("admission.interactive-share", "must lie between 0 and 1");
        }
        return new Settings.Admission(admission.maxWaiting(), admission.interactiveShare());
    }

    /** Checks a size, and limits it to one that fits into an array. */
    private int size(String key, MemorySize given) {
        long size = given.asLongValue();
        if (size < SMALLEST_SIZE) {
            mistakes.mistake(key, "must be at least " + SMALLEST_SIZE);
        }
        return (int) Math.min(size, LARGEST_SIZE);
    }
}
