package dev.penstock.api.call;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CallRulesTest {
    private static final CallRules LOOPBACK = new CallRules(true, Set.of("penstock.local", "proxy.local:8443"));
    private static final CallRules OPEN = new CallRules(false, Set.of());
    private static final CallRules LISTED = new CallRules(false, Set.of("penstock.example"));

    private record Head(String method, String path, boolean namesHost, List<String> lines) implements CallRules.Head {
        @Override
        public List<String> hosts() {
            return values("Host");
        }

        @Override
        public List<String> values(String header) {
            List<String> values = new ArrayList<>();
            for (String line : lines) {
                if (line.regionMatches(true, 0, header + ":", 0, header.length() + 1)) {
                    values.add(line.substring(header.length() + 1).strip());
                }
            }
            return values;
        }
    }

    private static Head head(String method, String path, @Nullable String headers) {
        return new Head(method, path, true, headers == null ? List.of() : List.of(headers.split(" & ")));
    }

    private static String code(CallRules rules, Head head) {
        return rules.refusal(head)
                .map(failure -> failure.code().httpStatus() + " "
                        + (failure.message().contains("Content-Type: application/json")
                                ? "type"
                                : failure.message().contains("web page")
                                        ? "origin"
                                        : failure.message().contains("Host") ? "host" : failure.message()))
                .orElse("passes");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            POST   | /v1/nodes            |                                                    | 415 type
            POST   | /v1/nodes            | Content-Type: text/plain                           | 415 type
            POST   | /v1/nodes            | Content-Type: application/x-www-form-urlencoded    | 415 type
            POST   | /v1/nodes            | Content-Type: multipart/form-data; boundary=x      | 415 type
            POST   | /v1/nodes            | Content-Type: garbage                              | 415 type
            POST   | /v1/nodes            | Content-Type: text/plain; application/json         | 415 type
            POST   | /v1/nodes            | Content-Type: application/jsonp                    | 415 type
            POST   | /v1/nodes            | Content-Type: application/json, text/plain         | 415 type
            POST   | /v1/nodes            | Content-Type: application/json & Content-Type: application/json | 415 type
            POST   | /v1/nodes            | Content-Type: application/json; charset=utf-7      | 415 type
            POST   | /v1/nodes            | Content-Type: application/json; boundary=x         | 415 type
            POST   | /v1/nodes            | Content-Type: application/json                     | passes
            POST   | /v1/nodes            | content-type: Application/JSON;charset="UTF-8"     | passes
            POST   | /v1/nodes            | Content-Type: application/json ; charset=utf-8     | passes
            POST   | /v1/nodes            | Content-Type: application/x-ndjson                 | 415 type
            POST   | /v1/jobs             | Content-Type: application/x-ndjson                 | passes
            POST   | /v1/jobs/            | Content-Type: application/x-ndjson; charset=utf-8  | passes
            POST   | /v1/jobs             | Content-Type: application/json                     | passes
            POST   | /v1/jobs             |                                                    | 415 type
            POST   | /v1/dlq/0-1/retry    |                                                    | 415 type
            POST   | /v1/nodes/a/models/m/unload |                                             | 415 type
            DELETE | /v1/jobs/a           |                                                    | passes
            DELETE | /v1/jobs/a           | Content-Length: 0                                  | passes
            POST   | /v1/responses/a/cancel |                                                  | passes
            POST   | /v1/responses/a/cancel | Content-Length: 0                                | passes
            POST   | /v1/responses/a/cancel | Content-Length: 2                                | 415 type
            POST   | /v1/responses/a/cancel | Content-Type: text/plain                         | 415 type
            POST   | /v1/responses/a/cancel | Origin: http://evil.example                      | 403 origin
            POST   | /v1/responses        |                                                    | 415 type
            DELETE | /v1/jobs/a           | Content-Length: 2                                  | 415 type
            DELETE | /v1/jobs/a           | Transfer-Encoding: chunked                         | 415 type
            DELETE | /v1/jobs/a           | Content-Type: text/plain                           | 415 type
            DELETE | /v1/jobs/a           | Origin: http://evil.example                        | 403 origin
            DELETE | /v1/jobs/a           | Content-Type: application/json                     | passes
            PUT    | /v1/jobs/a           |                                                    | 415 type
            PATCH  | /v1/config           | Content-Type: application/merge-patch+json         | 415 type
            BREW   | /v1/jobs             |                                                    | 415 type
            GET    | /v1/jobs             |                                                    | passes
            HEAD   | /v1/jobs             |                                                    | passes
            OPTIONS | /v1/jobs            |                                                    | passes
            """)
    void what_changes_something_has_a_json_type(String method, String path, @Nullable String headers, String answer) {
        String all = headers == null ? "Host: localhost" : headers + " & Host: localhost";

        assertThat(code(LOOPBACK, head(method, path, all))).isEqualTo(answer);
        assertThat(code(OPEN, head(method, path, all))).isEqualTo(answer);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            POST | /v1/describe   | multipart/form-data; boundary=x              | passes
            POST | /v1/tag/       | Multipart/Form-Data;boundary="a b"           | passes
            POST | /v1/tag        | multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk | passes
            POST | /v1/describe   | application/json                             | passes
            POST | /v1/describe   | multipart/form-data                          | 415 type
            POST | /v1/describe   | multipart/form-data; boundary=               | 415 type
            POST | /v1/describe   | multipart/form-data; boundary=a b            | 415 type
            POST | /v1/describe   | multipart/form-data; boundary=x; charset=utf-7 | 415 type
            POST | /v1/describe   | multipart/form-data; boundary=x, application/json | 415 type
            POST | /v1/describe   | multipart/mixed; boundary=x                  | 415 type
            POST | /v1/describe   | application/x-www-form-urlencoded            | 415 type
            POST | /v1/describe   | text/plain                                   | 415 type
            PUT  | /v1/describe   | multipart/form-data; boundary=x              | 415 type
            POST | /v1/describe/x | multipart/form-data; boundary=x              | 415 type
            POST | /v1/rerank     | multipart/form-data; boundary=x              | 415 type
            POST | /v1/jobs       | multipart/form-data; boundary=x              | 415 type
            """)
    void only_the_calls_with_images_take_forms(String method, String path, String type, String answer) {
        String all = "Host: localhost & Content-Type: " + type;

        assertThat(code(LOOPBACK, head(method, path, all))).isEqualTo(answer);
        assertThat(code(OPEN, head(method, path, all))).isEqualTo(answer);
    }

    /** A browser sends a form without asking, so its page must be known. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            X: curl                                                                | passes
            User-Agent: curl/8.5.0                                                 | passes
            User-Agent: Mozilla/5.0                                                | 403 origin
            Referer: http://evil.example/                                          | 403 origin
            User-Agent: Mozilla/5.0 & Origin: null                                 | 403 origin
            User-Agent: Mozilla/5.0 & Origin: http://evil.example                  | 403 origin
            User-Agent: Mozilla/5.0 & Sec-Fetch-Site: cross-site                   | 403 origin
            User-Agent: Mozilla/5.0 & Sec-Fetch-Site: same-site                    | 403 origin
            User-Agent: Mozilla/5.0 & Origin: http://localhost:8080                | passes
            User-Agent: Mozilla/5.0 & Sec-Fetch-Site: same-origin                  | passes
            User-Agent: Mozilla/5.0 & Origin: http://localhost:8080 & Sec-Fetch-Site: cross-site | 403 origin
            """)
    void a_form_of_a_browser_shows_its_page(String headers, String answer) {
        String all = headers + " & Host: localhost:8080 & Content-Type: multipart/form-data; boundary=x";

        assertThat(code(LOOPBACK, head("POST", "/v1/describe", all))).isEqualTo(answer);
        assertThat(code(OPEN, head("POST", "/v1/tag", all))).isEqualTo(answer);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            POST | Origin: http://evil.example                                  | 403 origin
            POST | Origin: null                                                 | 403 origin
            POST | Origin: http://127.0.0.1:3000                                | 403 origin
            POST | Origin: http://localhost                                     | 403 origin
            POST | Origin: http://localhost:8080.evil.example                   | 403 origin
            POST | Origin: http://localhost:8080/                               | 403 origin
            POST | Origin: http://user@localhost:8080                           | 403 origin
            POST | Origin: file://localhost:8080                                | 403 origin
            POST | Origin: http://localhost:8080 & Origin: http://evil.example  | 403 origin
            POST | Origin: http://localhost:8080                                | passes
            POST | Origin: HTTP://LOCALHOST:8080                                | passes
            POST | Origin: https://penstock.local                               | passes
            POST | Origin: https://proxy.local:8443                             | passes
            POST | Origin: https://proxy.local:8444                             | 403 origin
            POST | Sec-Fetch-Site: cross-site                                   | 403 origin
            POST | Sec-Fetch-Site: same-site                                    | 403 origin
            POST | Sec-Fetch-Site: whatever                                     | 403 origin
            POST | Sec-Fetch-Site: same-origin                                  | passes
            POST | Sec-Fetch-Site: none                                         | passes
            POST | Origin: http://localhost:8080 & Sec-Fetch-Site: cross-site   | 403 origin
            POST | Sec-Fetch-Site: cross-site & Sec-Fetch-Mode: navigate & Sec-Fetch-Dest: document | 403 origin
            GET  | Origin: http://evil.example                                  | 403 origin
            GET  | Sec-Fetch-Site: cross-site & Sec-Fetch-Mode: no-cors & Sec-Fetch-Dest: image     | 403 origin
            GET  | Sec-Fetch-Site: cross-site & Sec-Fetch-Mode: navigate & Sec-Fetch-Dest: iframe   | 403 origin
            GET  | Sec-Fetch-Site: cross-site & Sec-Fetch-Mode: navigate & Sec-Fetch-Dest: document | passes
            OPTIONS | Origin: http://evil.example & Access-Control-Request-Method: DELETE           | 403 origin
            """)
    void a_page_of_another_origin_is_refused(String method, String headers, String answer) {
        String all = headers + " & Host: localhost:8080 & Content-Type: application/json";

        assertThat(code(LOOPBACK, head(method, "/v1/nodes", all))).isEqualTo(answer);
    }

    @Test
    void behind_a_proxy_that_ends_tls_the_origin_is_the_host_with_the_port_of_its_scheme() {
        String page = "Origin: https://penstock.example & Content-Type: application/json & Host: ";

        assertThat(code(OPEN, head("POST", "/v1/jobs", page + "penstock.example")))
                .isEqualTo("passes");
        assertThat(code(OPEN, head("POST", "/v1/jobs", page + "penstock.example:443")))
                .isEqualTo("passes");
        assertThat(code(OPEN, head("POST", "/v1/jobs", page + "penstock.example:80")))
                .isEqualTo("403 origin");
        assertThat(code(LISTED, head("POST", "/v1/jobs", page + "127.0.0.1:8080")))
                .isEqualTo("passes");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            Host: localhost:8080               | passes     | passes     | passes
            Host: LOCALHOST.                   | passes     | passes     | passes
            Host: 127.0.0.1                    | passes     | passes     | passes
            Host: 127.8.9.10:65535             | passes     | passes     | passes
            Host: [::1]:8080                   | passes     | passes     | passes
            Host: [0:0:0:0:0:0:0:1]            | passes     | passes     | passes
            Host: [::ffff:127.0.0.1]           | passes     | passes     | passes
            Host: penstock.local               | passes     | passes     | 403 host
            Host: Penstock.Local:1234          | passes     | passes     | 403 host
            Host: proxy.local:8443             | passes     | passes     | 403 host
            Host: proxy.local                  | 403 host   | passes     | 403 host
            Host: penstock.example:8080        | 403 host   | passes     | passes
            Host: evil.example                 | 403 host   | passes     | 403 host
            Host: localhost.evil.example       | 403 host   | passes     | 403 host
            Host: 127.0.0.1.evil.example       | 403 host   | passes     | 403 host
            Host: 10.0.0.7:8080                | 403 host   | passes     | 403 host
            Host: 0.0.0.0:8080                 | 403 host   | passes     | 403 host
            Host: [::]:8080                    | 403 host   | passes     | 403 host
            Host: localhost & Host: localhost  | 400 host   | 400 host   | 400 host
            Host: localhost:99999              | 400 host   | 400 host   | 400 host
            Host: local host                   | 400 host   | 400 host   | 400 host
            Host: user@localhost               | 400 host   | 400 host   | 400 host
            Host:                              | 400 host   | 400 host   | 400 host
            X: y                               | 400 host   | 400 host   | 400 host
            """)
    void on_loopback_the_host_is_loopback_or_listed(String headers, String loopback, String open, String listed) {
        assertThat(code(LOOPBACK, head("GET", "/v1/jobs", headers))).isEqualTo(loopback);
        assertThat(code(OPEN, head("GET", "/v1/jobs", headers))).isEqualTo(open);
        assertThat(code(LISTED, head("GET", "/v1/jobs", headers))).isEqualTo(listed);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            /v1/nodes/a/models/..            | the path has a segment that is . or ..
            /v1/nodes/a/models/../           | the path has a segment that is . or ..
            /v1/nodes/a/models/%2e%2E        | the path has a segment that is . or ..
            /v1/nodes/a/models/.%2e          | the path has a segment that is . or ..
            /v1/nodes/a/models/.             | the path has a segment that is . or ..
            /v1/nodes/a/models/..;x=y        | the path has a segment that is . or ..
            /v1/nodes/a/models/x%2F..%2F..   | the path has a segment that is . or ..
            /v1/nodes/a/models/x%5C..%5C..   | the path has a segment that is . or ..
            /v1/nodes/..                     | the path has a segment that is . or ..
            /v1/jobs/%2e%2e/events           | the path has a segment that is . or ..
            /v1/jobs/a%00                    | the path has a control character, or what is not UTF-8
            /v1/jobs/a%0d%0aX:y              | the path has a control character, or what is not UTF-8
            /v1/jobs/%ff                     | the path has a control character, or what is not UTF-8
            /v1/jobs/%zz                     | the path is not percent-encoded as it should be
            /v1/jobs/%4                      | the path is not percent-encoded as it should be
            /v1/jobs/...                     | passes
            /v1/jobs/..a                     | passes
            /v1/jobs/a..                     | passes
            /v1/jobs/%252e%252e              | passes
            /v1/nodes/a/models/hf.co/user/repo:Q4_K_M | passes
            /v1/nodes/a/models/hf.co%2Fuser%2Frepo    | passes
            /v1/models/a+b                   | passes
            """)
    void a_path_is_taken_as_it_was_sent_or_not_at_all(String path, String answer) {
        assertThat(LOOPBACK.refusal(head("GET", path, "Host: localhost"))
                        .map(JobFailure::message)
                        .orElse("passes"))
                .isEqualTo(answer);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            Idempotency-Key:                         | Idempotency-Key: 1 to 255 characters are allowed
            Idempotency-Key: a & Idempotency-Key: a  | Idempotency-Key: is given more than once
            Idempotency-Key: order-42                | passes
            """)
    void an_idempotency_key_is_one_key(String header, String answer) {
        Head head = head("POST", "/v1/jobs", "Host: localhost & Content-Type: application/json & " + header);

        assertThat(LOOPBACK.refusal(head).map(JobFailure::message).orElse("passes"))
                .isEqualTo(answer);
        assertThat(LOOPBACK.refusal(head(
                        "POST",
                        "/v1/jobs",
                        "Host: localhost & Content-Type: application/json & Idempotency-Key: " + "x".repeat(256))))
                .hasValueSatisfying(failure -> assertThat(failure.param()).isEqualTo("Idempotency-Key"));
    }

    @Test
    void http_1_0_may_name_no_host() {
        assertThat(LOOPBACK.refusal(new Head("GET", "/q/health/ready", false, List.of())))
                .isEmpty();
    }

    @Test
    void the_refusal_names_the_key() {
        assertThat(LOOPBACK.refusal(head("GET", "/v1/jobs", "Host: evil.example")))
                .hasValueSatisfying(failure -> assertThat(failure.message())
                        .contains("'evil.example'", "penstock.api.allowed-hosts")
                        .doesNotContain("\n"));
    }
}
