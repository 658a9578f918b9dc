package dev.penstock.webhook;

import dev.penstock.reply.WebhookRecord;
import dev.penstock.settings.Webhook;
import dev.penstock.wire.Reason;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpClientRequest;
import io.vertx.core.http.HttpClientResponse;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import io.vertx.core.tracing.TracingPolicy;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Posts one outcome to a webhook, signed by the rules of Standard Webhooks 1.0. Only the status of the answer counts. It
 * follows no redirect. Thread-safe.
 */
final class Poster implements AutoCloseable {
    private static final int POOL = 1_024;
    private static final int CONNECT_MILLIS = 5_000;
    /** How long the rest of an answer may take after its status. */
    private static final int REST_MILLIS = 5_000;

    private final Vertx vertx;
    private final HttpClient client;

    Poster(Vertx vertx) {
        this.vertx = vertx;
        client = vertx.createHttpClient(
                new HttpClientOptions()
                        .setProtocolVersion(HttpVersion.HTTP_1_1)
                        .setConnectTimeout(CONNECT_MILLIS)
                        // a receiver may close a kept connection at the moment of the next post
                        .setKeepAlive(false)
                        .setVerifyHost(true)
                        // the receiver must not learn about the trace
                        .setTracingPolicy(TracingPolicy.IGNORE),
                new PoolOptions().setHttp1MaxSize(POOL));
    }

    PostResult post(Webhook webhook, WebhookRecord record, Instant now) throws InterruptedException {
        byte[] body = record.event().get();
        String id = record.messageId();
        long seconds = now.getEpochSecond();
        RequestOptions options = options(webhook.url())
                .putHeader("Content-Type", "application/json")
                .putHeader("User-Agent", "penstock")
                .putHeader("webhook-id", id)
                .putHeader("webhook-timestamp", Long.toString(seconds))
                .putHeader("webhook-signature", webhook.signature(id, seconds, body));
        return post(options, Buffer.buffer(body), webhook.timeout());
    }

    private static RequestOptions options(URI url) {
        boolean secure = "https".equalsIgnoreCase(url.getScheme());
        String path = url.getRawPath() == null || url.getRawPath().isEmpty() ? "/" : url.getRawPath();
        String host = url.getHost();
        return new RequestOptions()
                .setMethod(HttpMethod.POST)
                // an IPv6 address is in brackets in a URL only
                .setHost(host.startsWith("[") ? host.substring(1, host.length() - 1) : host)
                .setPort(url.getPort() > 0 ? url.getPort() : secure ? 443 : 80)
                .setSsl(secure)
                .setURI(url.getRawQuery() == null ? path : path + "?" + url.getRawQuery())
                .setFollowRedirects(false);
    }

    private PostResult post(RequestOptions options, Buffer body, Duration timeout) throws InterruptedException {
        CompletableFuture<HttpClientRequest> sent = new CompletableFuture<>();
        CompletableFuture<Integer> status = client.request(options)
                .compose(request -> {
                    sent.complete(request);
                    return request.send(body);
                })
                .map(HttpClientResponse::statusCode)
                .toCompletionStage()
                .toCompletableFuture();
        long restMillis = 1;
        try {
            PostResult result = PostResult.ofStatus(status.get(timeout.toNanos(), TimeUnit.NANOSECONDS));
            restMillis = REST_MILLIS;
            return result;
        } catch (TimeoutException _) {
            return new PostResult.Failed("the receiver did not answer within " + timeout);
        } catch (ExecutionException e) {
            return new PostResult.Failed("the receiver could not be reached: " + Reason.of(e));
        } finally {
            // closes a connection whose answer does not end, and one that opens too late
            long within = restMillis;
            var _ = sent.thenAccept(request -> vertx.setTimer(within, _ -> request.reset()));
        }
    }

    @Override
    public void close() {
        var _ = client.close();
    }
}
