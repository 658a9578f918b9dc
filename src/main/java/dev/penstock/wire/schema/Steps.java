package dev.penstock.wire.schema;

import com.networknt.schema.ExecutionConfig;
import com.networknt.schema.ExecutionContext;
import com.networknt.schema.JsonSchemaException;
import java.util.Locale;

/**
 * The work of one check, in steps. The number of steps is limited, because the schema and the text come from outside:
 * some small schemas need exponential time. A step takes about a microsecond at most. Not thread-safe: the thread of
 * the check owns it.
 */
final class Steps extends ExecutionContext {
    /** The limit. A text of 100,000 values and a schema with ten keywords for each value stay below it. */
    static final long MOST = 2_000_000;

    /** A violation needs memory until the check ends, so it counts more than a comparison. */
    private static final int VIOLATION = 100;

    private long left = MOST;

    /** Reports that the check needs too many steps. The validator passes its own exceptions on, and logs all others. */
    static final class Exhausted extends JsonSchemaException {
        Exhausted() {
            super("the check of the answer needs too many steps");
        }
    }

    Steps() {
        super(config());
    }

    private static ExecutionConfig config() {
        ExecutionConfig config = new ExecutionConfig();
        config.setLocale(Locale.ENGLISH);
        // formats are annotations: their checks differ between libraries, and some are slow
        config.setFormatAssertionsEnabled(false);
        return config;
    }

    void take(long steps) {
        left -= steps;
        if (left < 0) {
            throw new Exhausted();
        }
    }

    /** The validator asks this once for each violation that it finds. */
    @Override
    public boolean isFailFast() {
        take(VIOLATION);
        return false;
    }
}
