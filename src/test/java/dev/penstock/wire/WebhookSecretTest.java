package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WebhookSecretTest {
    private static final String PUBLISHED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static String secret(int bytes) {
        return "whsec_" + Base64.getEncoder().encodeToString(new byte[bytes]);
    }

    @Test
    void the_published_example_of_standard_webhooks_has_its_published_signature() {
        assertThat(WebhookSecret.parse(PUBLISHED)
                        .orElseThrow()
                        .sign(
                                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                                1614265330,
                                "{\"test\": 2432232314}".getBytes(StandardCharsets.UTF_8)))
                .isEqualTo("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    @Test
    void the_body_is_signed_as_bytes() {
        WebhookSecret secret = WebhookSecret.parse(PUBLISHED).orElseThrow();
        byte[] noText = {(byte) 0xff, 0, (byte) 0x80};
        byte[] other = {(byte) 0xfe, 0, (byte) 0x80};

        assertThat(secret.sign("msg_1", 1, noText)).isNotEqualTo(secret.sign("msg_1", 1, other));
    }

    @Test
    void a_secret_has_24_to_64_bytes() {
        assertThat(WebhookSecret.parse(secret(23))).isEmpty();
        assertThat(WebhookSecret.parse(secret(24))).isPresent();
        assertThat(WebhookSecret.parse(secret(64))).isPresent();
        assertThat(WebhookSecret.parse(secret(65))).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "whsec_",
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa?w",
                "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            })
    void another_text_is_no_secret(String text) {
        assertThat(WebhookSecret.parse(text)).isEmpty();
    }

    @Test
    void its_text_does_not_show_the_key() {
        assertThat(WebhookSecret.parse(PUBLISHED).orElseThrow()).hasToString("whsec_…");
    }
}
