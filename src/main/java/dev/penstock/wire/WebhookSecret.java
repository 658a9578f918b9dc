package dev.penstock.wire;

import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.Optional;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A secret that signs webhooks by the rules of Standard Webhooks 1.0. Its text is {@code whsec_} and the key in base64.
 * No method returns the key, so no log line and no answer can contain it.
 */
public final class WebhookSecret {
    /** The rule for the text of a secret. */
    public static final String RULE = "expected whsec_ and 24 to 64 bytes in base64";

    private static final String PREFIX = "whsec_";
    private static final int LEAST = 24;
    private static final int MOST = 64;
    private static final String ALGORITHM = "HmacSHA256";

    private final SecretKeySpec key;

    private WebhookSecret(byte[] key) {
        this.key = new SecretKeySpec(key, ALGORITHM);
    }

    /** Parses a secret; empty if the text breaks {@link #RULE}. */
    public static Optional<WebhookSecret> parse(String text) {
        if (!text.startsWith(PREFIX)) {
            return Optional.empty();
        }
        try {
            byte[] key = Base64.getDecoder().decode(text.substring(PREFIX.length()));
            return key.length >= LEAST && key.length <= MOST ? Optional.of(new WebhookSecret(key)) : Optional.empty();
        } catch (IllegalArgumentException _) {
            return Optional.empty();
        }
    }

    /**
     * Returns one entry of the header webhook-signature: {@code v1,} and the signature in base64.
     *
     * @param id the value of webhook-id; it has no full stop
     * @param seconds the value of webhook-timestamp: seconds since 1970
     * @param body the body of the request, exactly as it is sent
     */
    public String sign(String id, long seconds, byte[] body) {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(key);
            mac.update("%s.%d.".formatted(id, seconds).getBytes(StandardCharsets.UTF_8));
            return "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body));
        } catch (NoSuchAlgorithmException | InvalidKeyException e) {
            throw new AssertionError("every Java platform has " + ALGORITHM, e);
        }
    }

    @Override
    public String toString() {
        return "whsec_…";
    }
}
