package dev.penstock.node.media;

import dev.penstock.job.JobFailure;
import dev.penstock.node.protocol.WireProtocol;
import dev.penstock.node.protocol.answer.ServerErrors;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.MediaUrls;
import io.vertx.core.Future;
import io.vertx.core.Promise;
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
import io.vertx.core.net.SocketAddress;
import io.vertx.core.tracing.TracingPolicy;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Fetches the media to which a job refers by URL, so that no node fetches anything for a client. It fetches only from
 * allowed hosts. It resolves each host name once, and connects to the resulting address. It never connects to an
 * address that is not public, and never follows a redirect to another host. The size and the media types are limited.
 * Thread-safe.
 */
public final class MediaFetcher implements AutoCloseable {
    /** The limits of one job's media: the number of addresses, the largest files, and the timeouts. */
    private static final int MOST_ADDRESSES = 32;

    private static final int MOST_TIMES = 4;
    private static final int IN_A_ROW = 3;

    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final int MOST_BYTES = 20 * 1024 * 1024;
    private static final int MOST_REDIRECTS = 3;
    private static final int POOL = 256;

    private final AllowedHosts hosts;
    private final Resolver resolver;
    private final Predicate<InetAddress> reachable;
    private final int mostBytes;
    private final Duration patience;
    private final MediaRoom room;
    private final Executor resolving =
            task -> Thread.ofVirtual().name("penstock-resolve").start(task);
    private final HttpClient plain;
    private final HttpClient tls;

    /** Resolves a host name to addresses. */
    interface Resolver {
        InetAddress[] addresses(String host) throws UnknownHostException;
    }

    /** @param room the memory for the media of all jobs, in bytes */
    public MediaFetcher(Vertx vertx, AllowedHosts hosts, long room) {
        this(vertx, hosts, InetAddress::getAllByName, PublicAddress::isPublic, MOST_BYTES, PATIENCE, room);
    }

    /**
     * @param reachable returns whether connections to an address are allowed
     * @param room the memory for the media of all jobs, in bytes
     */
    MediaFetcher(
            Vertx vertx,
            AllowedHosts hosts,
            Resolver resolver,
            Predicate<InetAddress> reachable,
            int mostBytes,
            Duration patience,
            long room) {
        this.room = new MediaRoom(room);
        this.hosts = hosts;
        this.resolver = resolver;
        this.reachable = reachable;
        this.mostBytes = mostBytes;
        this.patience = patience;
        plain = client(vertx, false);
        tls = client(vertx, true);
    }

    private static HttpClient client(Vertx vertx, boolean tls) {
        return vertx.createHttpClient(
                new HttpClientOptions()
                        .setProtocolVersion(HttpVersion.HTTP_1_1)
                        .setConnectTimeout((int) PATIENCE.toMillis())
                        .setKeepAlive(false)
                        .setSsl(tls)
                        .setVerifyHost(true)
                        // sends no trace headers, because the hosts must not learn about the job's trace
                        .setTracingPolicy(TracingPolicy.IGNORE),
                new PoolOptions().setHttp1MaxSize(POOL));
    }

    /** Returns the number of bytes that the media of running attempts take. */
    public long bytes() {
        return room.taken();
    }

    /** A body that contains its media instead of their URLs. Closing it frees the memory of the media. */
    public record Inlined(Map<String, Object> body, MediaRoom.Share share) implements AutoCloseable {
        @Override
        public void close() {
            share.close();
        }
    }

    /**
     * Returns the same body, in which data: URLs replace all other URLs. It waits for memory before each fetch.
     *
     * @param until the limit of the attempt, which ends any wait or fetch at once
     */
    public Inlined inlined(Map<String, Object> body, Until until)
            throws WireProtocol.Unsupported, InterruptedException, Until.Over {
        MediaRoom.Share share = room.new Share();
        Fetch fetch = new Fetch(share, until);
        boolean done = false;
        try {
            Map<String, Object> replaced = MediaUrls.replace(body, fetch::of);
            done = true;
            return new Inlined(replaced, share);
        } catch (Stopped e) {
            throw e.interrupted;
        } catch (TooLate e) {
            throw e.over;
        } catch (Refused e) {
            throw e.unsupported;
        } finally {
            if (!done) {
                share.close();
            }
        }
    }

    /** The fetches of one attempt. */
    private final class Fetch {
        private final MediaRoom.Share share;
        private final Until until;
        private final Map<String, String> fetched = new HashMap<>();
        private long latest = System.nanoTime() + patience.toNanos() * IN_A_ROW;
        private long bytes;

        Fetch(MediaRoom.Share share, Until until) {
            this.share = share;
            this.until = until;
        }

        String of(String path, String url) throws Refused {
            String known = fetched.get(url);
            if (known == null) {
                if (fetched.size() == MOST_ADDRESSES || bytes > MOST_TIMES * (long) mostBytes) {
                    throw new Refused(
                            path,
                            "a job may name %d addresses at most, with %d bytes in all"
                                    .formatted(MOST_ADDRESSES, MOST_TIMES * (long) mostBytes));
                }
                long before = System.nanoTime();
                // the largest size of a file, in base64
                long reserved = mostBytes * 4L / 3;
                var _ = await(path, share.reserve(reserved), Long.MAX_VALUE);
                latest += System.nanoTime() - before;
                known = fetch(path, url, latest, this);
                share.giveBack(Math.max(0, reserved - known.length()));
                bytes += known.length();
                fetched.put(url, known);
            }
            return known;
        }

        /** @return the value; null if the timeout has passed */
        <T> @Nullable T await(String path, CompletableFuture<T> wanted, long patienceNanos) throws Refused {
            try {
                return until.await(wanted, patienceNanos);
            } catch (TimeoutException _) {
                return null;
            } catch (Until.Over e) {
                throw new TooLate(e);
            } catch (InterruptedException e) {
                throw new Stopped(e);
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Refused refused) {
                    throw refused;
                }
                throw Refused.forNow(
                        path, "it could not be reached: " + ServerErrors.shorten(String.valueOf(e.getCause())));
            }
        }
    }

    /**
     * The failure of a fetch. All such failures extend this class, because a replacement can throw only one type of
     * exception.
     */
    private static class Refused extends Exception {
        final transient WireProtocol.Unsupported unsupported;

        Refused(String path, String message) {
            super(message);
            unsupported = new WireProtocol.Unsupported(path, message);
        }

        private Refused(JobFailure failure) {
            super(failure.message());
            unsupported = new WireProtocol.Unsupported(failure);
        }

        /** Returns a temporary failure: another attempt may succeed. */
        static Refused forNow(String path, String message) {
            return new Refused(new JobFailure(JobFailure.Code.NODE_ERROR, path + ": " + message, path, null));
        }
    }

    private static final class Stopped extends Refused {
        final transient InterruptedException interrupted;

        Stopped(InterruptedException interrupted) {
            super("", "interrupted");
            this.interrupted = interrupted;
        }
    }

    private static final class TooLate extends Refused {
        final transient Until.Over over;

        TooLate(Until.Over over) {
            super("", "over");
            this.over = over;
        }
    }

    private String fetch(String path, String url, long latest, Fetch fetch) throws Refused {
        long now = System.nanoTime();
        long deadline = now + Math.min(patience.toNanos(), latest - now);
        URI target = address(path, url);
        InetAddress address = resolve(path, target, deadline, fetch);
        for (int redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
            Loaded loaded = load(path, target, address, deadline, fetch);
            if (loaded.redirect() == null) {
                return "data:" + loaded.type() + ";base64,"
                        + Base64.getEncoder().encodeToString(loaded.bytes().getBytes());
            }
            target = sameHost(path, target, loaded.redirect());
        }
        throw new Refused(path, "%s redirects too often".formatted(target.getHost()));
    }

    private URI address(String path, String url) throws Refused {
        try {
            URI target = URI.create(url);
            if (hosts.allow(target)) {
                return target;
            }
        } catch (IllegalArgumentException _) {
            // the code below reports this failure
        }
        throw new Refused(path, "expected a data: URL; others only from the hosts in penstock.images.allowed-hosts");
    }

    private InetAddress resolve(String path, URI target, long deadline, Fetch fetch) throws Refused {
        String host = target.getHost();
        CompletableFuture<InetAddress> address = new CompletableFuture<>();
        resolving.execute(() -> {
            try {
                InetAddress[] addresses = resolver.addresses(host);
                if (addresses.length > 0 && Arrays.stream(addresses).allMatch(reachable)) {
                    address.complete(addresses[0]);
                } else {
                    address.completeExceptionally(
                            new Refused(path, "the host %s has an address that is not public".formatted(host)));
                }
            } catch (UnknownHostException _) {
                address.completeExceptionally(Refused.forNow(path, "the host %s is not known".formatted(host)));
            } catch (RuntimeException e) {
                address.completeExceptionally(e);
            }
        });
        InetAddress found = fetch.await(path, address, deadline - System.nanoTime());
        if (found == null) {
            throw Refused.forNow(path, "the host %s was not resolved within %s".formatted(host, patience));
        }
        return found;
    }

    private URI sameHost(String path, URI from, String location) throws Refused {
        try {
            URI to = from.resolve(location);
            boolean downgraded = "https".equals(from.getScheme()) && !"https".equals(to.getScheme());
            if (from.getHost().equalsIgnoreCase(to.getHost()) && !downgraded && hosts.allow(to)) {
                return to;
            }
        } catch (IllegalArgumentException _) {
            // the code below reports this failure
        }
        throw new Refused(path, "%s redirects to another host".formatted(from.getHost()));
    }

    /** @param redirect the address of a redirect; null if this is the content itself */
    private record Loaded(
            String type, Buffer bytes, @Nullable String redirect) {}

    private Loaded load(String path, URI target, InetAddress address, long deadline, Fetch fetch) throws Refused {
        boolean secure = "https".equalsIgnoreCase(target.getScheme());
        int port = target.getPort() > 0 ? target.getPort() : secure ? 443 : 80;
        String query = target.getRawQuery() == null ? "" : "?" + target.getRawQuery();
        String resource = target.getRawPath() == null || target.getRawPath().isEmpty() ? "/" : target.getRawPath();
        RequestOptions options = new RequestOptions()
                .setMethod(HttpMethod.GET)
                .setHost(target.getHost())
                .setPort(port)
                .setSsl(secure)
                .setServer(SocketAddress.inetSocketAddress(new InetSocketAddress(address, port)))
                .setURI(resource + query)
                .setFollowRedirects(false);
        Promise<HttpClientRequest> sent = Promise.promise();
        Future<Loaded> loading = (secure ? tls : plain).request(options).compose(request -> {
            sent.complete(request);
            // registers the handlers here on the event loop, because another thread might register them too late for
            // the answer
            return request.send().compose(response -> read(path, response));
        });
        try {
            Loaded loaded =
                    fetch.await(path, loading.toCompletionStage().toCompletableFuture(), deadline - System.nanoTime());
            if (loaded == null) {
                throw Refused.forNow(path, "%s did not send it within %s".formatted(target.getHost(), patience));
            }
            return loaded;
        } finally {
            var _ = sent.future().onSuccess(HttpClientRequest::reset);
        }
    }

    private Future<Loaded> read(String path, HttpClientResponse response) {
        int status = response.statusCode();
        String location = response.getHeader("Location");
        if (status >= 300 && status < 400 && location != null) {
            return Future.succeededFuture(new Loaded("", Buffer.buffer(), location));
        }
        String type = String.valueOf(response.getHeader("Content-Type"))
                .replaceFirst(";.*$", "")
                .strip()
                .toLowerCase(Locale.ROOT);
        if (status != 200) {
            String message = "the server answered " + status;
            return Future.failedFuture(
                    status >= 500 || status == 429 ? Refused.forNow(path, message) : new Refused(path, message));
        }
        if (!type.matches("(?:image/(?:png|jpeg|gif|webp)|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+|application/pdf)")) {
            return Future.failedFuture(
                    new Refused(path, "the type '%s' is no image, audio, video or PDF".formatted(type)));
        }
        Promise<Loaded> whole = Promise.promise();
        Buffer body = Buffer.buffer();
        response.handler(bytes -> {
            if (body.length() + bytes.length() > mostBytes) {
                whole.tryFail(new Refused(path, "has more than %d bytes".formatted(mostBytes)));
            } else {
                body.appendBuffer(bytes);
            }
        });
        response.exceptionHandler(whole::tryFail);
        response.endHandler(_ -> whole.tryComplete(new Loaded(type, body, null)));
        return whole.future();
    }

    @Override
    public void close() {
        var _ = plain.close();
        var _ = tls.close();
    }
}
