package dev.penstock.node.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobFailure;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.testkit.Conditions;
import dev.penstock.wire.AllowedHosts;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServer;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests what Penstock fetches for a job, and what it refuses. */
class MediaFetcherTest {
    private static final byte[] IMAGE = {(byte) 0x89, 'P', 'N', 'G', 0, 1, 2};
    /** A port without a listener. */
    private static final int CLOSED = 1;

    private static final List<String> SEEN = new CopyOnWriteArrayList<>();
    private static Vertx vertx;
    private static HttpServer server;

    /** A little more than one image's reservation: 4096 bytes in base64. */
    private static final long ROOM = 5470;

    private static final long FAR = System.nanoTime() + Duration.ofHours(1).toNanos();

    private final List<String> asked = new CopyOnWriteArrayList<>();
    private final CountDownLatch nameKnown = new CountDownLatch(1);

    @BeforeAll
    static void start() {
        vertx = Vertx.vertx();
        server = vertx.createHttpServer()
                .requestHandler(request -> {
                    SEEN.add(request.authority() + request.path());
                    var response = request.response();
                    switch (String.valueOf(request.path())) {
                        case "/image" ->
                            response.putHeader("Content-Type", "image/png").end(Buffer.buffer(IMAGE));
                        case "/large" ->
                            response.putHeader("Content-Type", "image/png").end(Buffer.buffer(new byte[5000]));
                        case "/page" ->
                            response.putHeader("Content-Type", "text/html").end("<html>");
                        case "/same" ->
                            response.setStatusCode(302)
                                    .putHeader("Location", "/image")
                                    .end();
                        case "/loop" ->
                            response.setStatusCode(302)
                                    .putHeader("Location", "/loop")
                                    .end();
                        case "/other" ->
                            response.setStatusCode(302)
                                    .putHeader("Location", "http://other.example:" + server.actualPort() + "/image")
                                    .end();
                        case "/private" ->
                            response.setStatusCode(302)
                                    .putHeader("Location", "http://127.0.0.1:" + server.actualPort() + "/image")
                                    .end();
                        case "/silent" -> {}
                        case "/gone-away" -> response.setStatusCode(502).end();
                        case "/busy" -> response.setStatusCode(429).end();
                        case "/forbidden" -> response.setStatusCode(403).end();
                        default -> response.setStatusCode(404).end();
                    }
                })
                .listen(0, "127.0.0.1")
                .toCompletionStage()
                .toCompletableFuture()
                .join();
    }

    @AfterAll
    static void stop() {
        vertx.close().toCompletionStage().toCompletableFuture().join();
    }

    @BeforeEach
    void forget() {
        SEEN.clear();
    }

    @ParameterizedTest
    @ValueSource(strings = {"/image", "/same"})
    void an_image_of_an_allowed_host_is_sent_inline(String path) throws Exception {
        String url = "http://images.example:" + server.actualPort() + path;
        try (MediaFetcher fetcher = fetcher(_ -> true)) {
            Map<String, Object> body = inlined(
                    fetcher,
                    Map.of(
                            "images",
                            List.of(url, url, "AAAA"),
                            "messages",
                            List.of(Map.of(
                                    "role",
                                    "user",
                                    "content",
                                    List.of(Map.of("type", "image_url", "image_url", Map.of("url", url)))))));

            String inline = "data:image/png;base64," + Base64.getEncoder().encodeToString(IMAGE);
            assertThat(body.get("images")).isEqualTo(List.of(inline, inline, "AAAA"));
            assertThat(body.toString()).doesNotContain("images.example").contains(inline);
        }
        assertThat(asked).as("a name is resolved once").containsExactly("images.example");
        assertThat(SEEN).allMatch(seen -> seen.startsWith("images.example:"));
    }

    @ParameterizedTest
    @CsvSource({
        "/other, redirects to another host",
        "/private, redirects to another host",
        "/loop, redirects too often",
        "/page, the type 'text/html' is no image",
        "/large, has more than 4096 bytes",
        "/silent, did not send it within",
        "/missing, the server answered 404"
    })
    void what_it_is_led_to_is_refused(String path, String why) {
        try (MediaFetcher fetcher = fetcher(_ -> true)) {
            assertRefused(fetcher, "http://images.example:" + server.actualPort() + path, why);
        }
    }

    /** A failure of the host is temporary. A failure of the image itself is permanent. */
    @ParameterizedTest
    @CsvSource({
        "images.example, /gone-away, NODE_ERROR",
        "images.example, /busy, NODE_ERROR",
        "images.example, /silent, NODE_ERROR",
        "unknown.example, /image, NODE_ERROR",
        "closed.example, /image, NODE_ERROR",
        "images.example, /missing, INVALID_REQUEST",
        "images.example, /forbidden, INVALID_REQUEST",
        "images.example, /page, INVALID_REQUEST"
    })
    void what_may_pass_is_tried_again(String host, String path, JobFailure.Code code) {
        int port = host.equals("closed.example") ? CLOSED : server.actualPort();
        try (MediaFetcher fetcher = fetcher(_ -> true)) {
            assertFails(fetcher, "http://%s:%d%s".formatted(host, port, path), code);
        }
    }

    @Test
    void a_private_address_stays_refused() {
        try (MediaFetcher fetcher = fetcher(PublicAddress::isPublic)) {
            assertFails(
                    fetcher,
                    "http://inside.example:" + server.actualPort() + "/image",
                    JobFailure.Code.INVALID_REQUEST);
        }
    }

    private static void assertFails(MediaFetcher fetcher, String url, JobFailure.Code code) {
        assertThatThrownBy(() -> inlined(fetcher, Map.of("images", List.of("AAAA", url))))
                .isInstanceOfSatisfying(WireProtocol.Unsupported.class, e -> {
                    assertThat(e.failure().code()).as(e.failure().message()).isEqualTo(code);
                    assertThat(e.failure().param()).isEqualTo("images[1]");
                    assertThat(e.failure().message()).startsWith("images[1]: ");
                });
    }

    @ParameterizedTest
    @CsvSource({
        "http://inside.example:%d/image, the host inside.example has an address that is not public",
        "http://mixed.example:%d/image, the host mixed.example has an address that is not public",
        "http://unknown.example:%d/image, the host unknown.example is not known",
        "http://127.0.0.1:%d/image, the host 127.0.0.1 has an address that is not public",
        "http://evil.example:%d/image, penstock.images.allowed-hosts",
        "http://user@images.example:%d/image, penstock.images.allowed-hosts",
        "file:///etc/passwd, penstock.images.allowed-hosts"
    })
    void a_name_that_resolves_to_a_private_address_is_refused_without_a_connection(String url, String why) {
        try (MediaFetcher fetcher = fetcher(PublicAddress::isPublic)) {
            assertRefused(fetcher, url.replace("%d", Integer.toString(server.actualPort())), why);
        }
        assertThat(SEEN).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "0.0.0.0",
                "0.1.2.3",
                "10.0.0.1",
                "100.64.0.1",
                "127.0.0.1",
                "127.9.9.9",
                "169.254.169.254",
                "172.16.0.1",
                "172.31.255.255",
                "192.0.0.1",
                "192.168.1.1",
                "198.18.0.1",
                "224.0.0.1",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "fe80::1",
                "fc00::1",
                "fd12:3456::1",
                "ff02::1",
                "::ffff:10.0.0.1",
                "::ffff:127.0.0.1",
                "64:ff9b::7f00:1",
                "2002:7f00:1::",
                "2001::1",
                "2001:db8::1",
                "::7f00:1",
                "fec0::1"
            })
    void these_are_not_public(String address) throws UnknownHostException {
        assertThat(PublicAddress.isPublic(InetAddress.ofLiteral(address))).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00:1450::1"})
    void these_are(String address) throws UnknownHostException {
        assertThat(PublicAddress.isPublic(InetAddress.ofLiteral(address))).isTrue();
    }

    @Test
    void a_body_without_addresses_makes_no_request() throws Exception {
        Map<String, Object> body = Map.of("images", List.of("data:image/png;base64,AAAA"), "prompt", "http://x/");
        try (MediaFetcher fetcher = fetcher(PublicAddress::isPublic)) {
            assertThat(inlined(fetcher, body)).isEqualTo(body);
        }
        assertThat(asked).isEmpty();
    }

    /** The image's server is silent, and the timeout is long, so only the stop ends the fetch. */
    @ParameterizedTest
    @ValueSource(strings = {"images.example", "slow-name.example"})
    void a_fetch_ends_at_once_when_its_job_is_stopped(String host) throws Exception {
        String url = "http://%s:%d/silent".formatted(host, server.actualPort());
        CompletableFuture<Void> stopped = new CompletableFuture<>();
        try (MediaFetcher fetcher = patient()) {
            CompletableFuture<Throwable> ended = inBackground(fetcher, url, new Until(stopped, FAR));
            Conditions.await(() ->
                    SEEN.stream().anyMatch(seen -> seen.endsWith("/silent")) || asked.contains("slow-name.example"));

            stopped.complete(null);

            assertThat(ended.get(20, TimeUnit.SECONDS)).isInstanceOf(Until.Over.class);
            assertThat(fetcher.bytes()).isZero();
        }
        nameKnown.countDown();
    }

    @Test
    void a_fetch_ends_with_its_jobs_own_time() throws Exception {
        String url = "http://images.example:" + server.actualPort() + "/silent";
        try (MediaFetcher fetcher = patient()) {
            Until soon = new Until(new CompletableFuture<>(), System.nanoTime() + 50_000_000);

            assertThat(inBackground(fetcher, url, soon).get(20, TimeUnit.SECONDS))
                    .isInstanceOf(Until.Over.class);
        }
    }

    /** The room holds one image's reservation, which counts until the attempt is over. */
    @Test
    void what_is_fetched_counts_until_the_attempt_ends_and_others_wait_for_it() throws Exception {
        String url = "http://images.example:" + server.actualPort() + "/image";
        CompletableFuture<Void> stopped = new CompletableFuture<>();
        try (MediaFetcher fetcher = fetcher(_ -> true)) {
            MediaFetcher.Inlined first = fetcher.inlined(Map.of("images", List.of(url)), new Until(stopped, FAR));
            assertThat(fetcher.bytes()).isBetween(1L, 100L);
            SEEN.clear();

            CompletableFuture<Throwable> second = inBackground(fetcher, url, new Until(stopped, FAR));
            assertThatThrownBy(() -> second.get(100, TimeUnit.MILLISECONDS)).isInstanceOf(TimeoutException.class);
            assertThat(SEEN).as("it waits before it asks").isEmpty();
            first.close();

            assertThat(second.get(20, TimeUnit.SECONDS)).isNull();
            assertThat(fetcher.bytes()).isZero();
        }
    }

    /** @return the failure; null if there was none */
    private static CompletableFuture<Throwable> inBackground(MediaFetcher fetcher, String url, Until until) {
        CompletableFuture<Throwable> ended = new CompletableFuture<>();
        Thread.ofVirtual().start(() -> {
            try {
                fetcher.inlined(Map.of("images", List.of(url)), until).close();
                ended.complete(null);
            } catch (Exception e) {
                ended.complete(e);
            }
        });
        return ended;
    }

    private MediaFetcher patient() {
        int port = server.actualPort();
        Set<String> hosts = Set.of("images.example:" + port, "slow-name.example:" + port);
        return new MediaFetcher(
                vertx, new AllowedHosts(hosts), this::resolve, _ -> true, 4096, Duration.ofMinutes(10), ROOM);
    }

    private static Map<String, Object> inlined(MediaFetcher fetcher, Map<String, Object> body) throws Exception {
        try (MediaFetcher.Inlined inlined = fetcher.inlined(body, new Until(new CompletableFuture<>(), FAR))) {
            return inlined.body();
        }
    }

    private static void assertRefused(MediaFetcher fetcher, String url, String why) {
        assertThatThrownBy(() -> inlined(fetcher, Map.of("images", List.of(url))))
                .isInstanceOf(WireProtocol.Unsupported.class)
                .hasMessageContaining(why);
    }

    private MediaFetcher fetcher(Predicate<InetAddress> reachable) {
        int port = server.actualPort();
        Set<String> hosts = Set.of(
                "images.example:" + port,
                "inside.example:" + port,
                "mixed.example:" + port,
                "unknown.example:" + port,
                "closed.example:" + CLOSED,
                "127.0.0.1:" + port);
        return new MediaFetcher(
                vertx, new AllowedHosts(hosts), this::resolve, reachable, 4096, Duration.ofMillis(800), ROOM);
    }

    private InetAddress[] resolve(String host) throws UnknownHostException {
        asked.add(host);
        return switch (host) {
            case "images.example", "inside.example", "closed.example" ->
                new InetAddress[] {InetAddress.ofLiteral("127.0.0.1")};
            case "slow-name.example" -> {
                try {
                    nameKnown.await();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
                yield new InetAddress[] {InetAddress.ofLiteral("127.0.0.1")};
            }
            case "mixed.example" ->
                new InetAddress[] {InetAddress.ofLiteral("1.1.1.1"), InetAddress.ofLiteral("10.0.0.5")};
            case "127.0.0.1" -> new InetAddress[] {InetAddress.ofLiteral(host)};
            default -> throw new UnknownHostException(host);
        };
    }
}
