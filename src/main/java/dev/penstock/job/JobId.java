package dev.penstock.job;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.UUID;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;

/**
 * The id of a job. It is a pure function of the record or the submission. So every replica gets the same id at every
 * delivery, without communication.
 *
 * @param value 1 to 128 characters of {@code [A-Za-z0-9._:-]}; an old ledger may also contain the ids {@code .} and
 *     {@code ..}
 */
public record JobId(String value) {
    /** The rule for ids, for error messages. */
    public static final String RULE = "1 to 128 characters of A-Z a-z 0-9 . _ : - are allowed, and neither . nor ..";

    private static final Pattern FORM = Pattern.compile("[A-Za-z0-9._:-]{1,128}");
    private static final Pattern DOTS = Pattern.compile("\\.{1,2}");
    private static final long VERSION_7 = 0x7000L;
    private static final long VERSION_8 = 0x8000L;
    private static final long VARIANT = 0x8000_0000_0000_0000L;

    public JobId {
        if (!FORM.matcher(value).matches()) {
            throw new IllegalArgumentException(RULE);
        }
    }

    /**
     * Returns whether a job may have this id. The ids {@code .} and {@code ..} are invalid because they change the
     * path of a URL.
     */
    public static boolean isValid(String value) {
        return FORM.matcher(value).matches() && !DOTS.matcher(value).matches();
    }

    /**
     * Returns the id for a record that has none. It has the layout of a UUIDv7: the 48 time bits are the record's
     * timestamp, and the other bits are a hash of the record's place. Every delivery of the record gives the same id.
     */
    public static JobId derived(UUID topicId, int partition, long offset, Instant timestamp) {
        byte[] place = ByteBuffer.allocate(28)
                .putLong(topicId.getMostSignificantBits())
                .putLong(topicId.getLeastSignificantBits())
                .putInt(partition)
                .putLong(offset)
                .array();
        ByteBuffer hash = ByteBuffer.wrap(sha256(place));
        return version7(timestamp.toEpochMilli(), hash.getLong(), hash.getLong());
    }

    /**
     * Returns the id for a submission with an Idempotency-Key. All bits of the id come from the hash of tenant and key
     * (UUIDv8).
     */
    public static JobId fromIdempotencyKey(String tenant, String key) {
        ByteBuffer hash = ByteBuffer.wrap(sha256((tenant + "\0" + key).getBytes(StandardCharsets.UTF_8)));
        long most = (hash.getLong() & ~0xF000L) | VERSION_8;
        long least = (hash.getLong() >>> 2) | VARIANT;
        return new JobId(new UUID(most, least).toString());
    }

    /** Returns a new UUIDv7. */
    public static JobId fresh(Instant now, RandomGenerator random) {
        return version7(now.toEpochMilli(), random.nextLong(), random.nextLong());
    }

    private static JobId version7(long millis, long highBits, long lowBits) {
        long most = (millis << 16) | VERSION_7 | (highBits & 0xFFFL);
        long least = (lowBits >>> 2) | VARIANT;
        return new JobId(new UUID(most, least).toString());
    }

    private static byte[] sha256(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every Java platform has SHA-256", e);
        }
    }

    @Override
    public String toString() {
        return value;
    }
}
