package dev.penstock.node.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RateLimitsTest {
    private static final Instant NOW = Instant.parse("2026-12-01T08:00:00Z");

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', nullValues = "none", textBlock = """
            OpenAI, requests used up         | x-ratelimit-remaining-requests: 0; x-ratelimit-reset-requests: 6m0s | PT6M
            OpenAI, tokens used up           | x-ratelimit-remaining-tokens: 0; x-ratelimit-reset-tokens: 120ms | PT0.12S
            the longer of both               | x-ratelimit-remaining-requests: 0; x-ratelimit-reset-requests: 1s; x-ratelimit-remaining-tokens: 0; x-ratelimit-reset-tokens: 2s | PT2S
            only a used-up limit counts      | x-ratelimit-remaining-requests: 0; x-ratelimit-reset-requests: 1s; x-ratelimit-remaining-tokens: 7; x-ratelimit-reset-tokens: 2h | PT1S
            a part of a second               | x-ratelimit-remaining-requests: 0; x-ratelimit-reset-requests: 2m59.56s | PT2M59.56S
            a day                            | x-ratelimit-remaining-requests: 0; x-ratelimit-reset-requests: 1d2h | PT26H
            seconds                          | x-ratelimit-remaining-requests: 0; x-ratelimit-reset-requests: 1.5 | PT1.5S
            seconds since 1970               | x-ratelimit-remaining: 0; x-ratelimit-reset: 1796112030 | PT30S
            milliseconds since 1970          | x-ratelimit-remaining: 0; x-ratelimit-reset: 1796112030500 | PT30.5S
            Anthropic, input tokens used up  | anthropic-ratelimit-input-tokens-remaining: 0; anthropic-ratelimit-input-tokens-reset: 2026-12-01T08:00:20Z | PT20S
            Anthropic, output tokens used up | anthropic-ratelimit-output-tokens-remaining: 0; anthropic-ratelimit-output-tokens-reset: 2026-12-01T08:00:21Z | PT21S
            Anthropic, requests used up      | anthropic-ratelimit-requests-remaining: 0; anthropic-ratelimit-requests-reset: 2026-12-01T08:01:00Z | PT1M
            Anthropic, something left        | anthropic-ratelimit-requests-remaining: 1; anthropic-ratelimit-requests-reset: 2026-12-01T08:01:00Z | none
            in the past                      | anthropic-ratelimit-requests-remaining: 0; anthropic-ratelimit-requests-reset: 2026-12-01T07:59:00Z | none
            no time                          | x-ratelimit-remaining-requests: 0 | none
            no number                        | x-ratelimit-remaining-requests: few; x-ratelimit-reset-requests: 1s | none
            no duration                      | x-ratelimit-remaining-requests: 0; x-ratelimit-reset-requests: soon | none
            no header at all                 | server: x | none
            """)
    void the_headers_of_providers(String name, String headers, @Nullable Duration expected) {
        Map<String, String> all = new HashMap<>();
        for (String header : headers.split(";", -1)) {
            String[] parts = header.strip().split(": ", 2);
            all.put(parts[0].toLowerCase(Locale.ROOT), parts[1].strip());
        }

        assertThat(RateLimits.untilReset(all::get, NOW)).isEqualTo(expected);
    }
}
