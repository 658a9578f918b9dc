package dev.penstock.settings.read;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.Settings;
import dev.penstock.settings.Webhook;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WebhooksReaderTest {
    private static final String SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    private static final String OLD_SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

    private static Map<String, String> orders(Map<String, String> keys) {
        Map<String, String> all = new HashMap<>(Map.of(
                "penstock.webhooks.orders.url",
                "https://orders.example/hook?token=t",
                "penstock.webhooks.orders.secret",
                SECRET));
        keys.forEach((key, value) -> all.put("penstock.webhooks.orders." + key, value));
        return all;
    }

    private static List<String> mistakes(Map<String, String> keys) {
        return SettingsReader.mistakes(TestSettings.config(keys), Map.of(), keys);
    }

    @Test
    void a_webhook_has_an_address_a_secret_and_a_timeout() {
        Settings settings = TestSettings.ofFile(orders(Map.of()));
        Webhook orders = Objects.requireNonNull(settings.webhooks().get("orders"));

        assertThat(TestSettings.defaults().webhooks()).isEmpty();
        assertThat(orders.url()).isEqualTo(URI.create("https://orders.example/hook?token=t"));
        assertThat(orders.timeout()).isEqualTo(Duration.ofSeconds(15));
        assertThat(settings.permissions().webhooks()).containsExactly("orders");
        assertThat(orders.toString()).doesNotContain(SECRET.substring(6));
    }

    @Test
    void each_secret_signs_while_one_is_replaced() {
        byte[] body = "{\"test\": 2432232314}".getBytes(StandardCharsets.UTF_8);
        Webhook orders =
                Objects.requireNonNull(TestSettings.ofFile(orders(Map.of("secret", OLD_SECRET + "  " + SECRET)))
                        .webhooks()
                        .get("orders"));

        List<String> signatures = List.of(orders.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
                .split(" "));
        assertThat(signatures)
                .hasSize(2)
                .allSatisfy(each -> assertThat(each).startsWith("v1,"))
                .doesNotHaveDuplicates();
        assertThat(signatures.getLast()).isEqualTo("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "orders.example",
                "ftp://orders.example",
                "https://",
                "https://user:pass@orders.example",
                "https://orders.example/#part",
                "https://orders.example:70000",
                "https://orders .example"
            })
    void another_address_is_a_mistake_that_does_not_show_it(String url) {
        assertThat(mistakes(orders(Map.of("url", url))))
                .containsExactly(
                        "penstock.webhooks.orders.url: expected http://host or https://host, without a user and without #");
    }

    @ParameterizedTest
    @ValueSource(strings = {"topsecret", "whsec_dG9vIHNob3J0", SECRET + " topsecret"})
    void another_secret_is_a_mistake_that_does_not_show_it(String secret) {
        assertThat(mistakes(orders(Map.of("secret", secret))))
                .containsExactly(
                        "penstock.webhooks.orders.secret: expected whsec_ and 24 to 64 bytes in base64; several secrets are separated by spaces");
    }

    @Test
    void names_and_timeouts_are_checked() {
        assertThat(mistakes(orders(Map.of("timeout", "0s"))))
                .containsExactly("penstock.webhooks.orders.timeout: must be a positive duration");
        assertThat(mistakes(Map.of(
                        "penstock.webhooks.\"a b\".url",
                        "https://orders.example",
                        "penstock.webhooks.\"a b\".secret",
                        SECRET)))
                .containsExactly("penstock.webhooks: a webhook's name has 1 to 64 characters of A-Z a-z 0-9 . _ -");
    }

    @Test
    void a_job_topic_cannot_be_the_webhook_topic() {
        assertThat(mistakes(Map.of("penstock.topics.jobs", "prompt-webhooks")))
                .containsExactly(
                        "penstock.intake.topics: 'prompt-webhooks' is the name of an internal topic (penstock.topics)");
    }
}
