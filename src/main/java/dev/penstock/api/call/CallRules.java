package dev.penstock.api.call;

import dev.penstock.job.JobFailure;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Refuses calls that a web page of another site may make a browser send, and calls whose head is ambiguous. A browser
 * sends a body with a JSON type, and any other method than GET, HEAD and POST, only after it has asked by OPTIONS;
 * nothing here allows that.
 *
 * @param loopbackOnly the service listens on loopback: another name as Host is one that a web page has directed here
 * @param allowedHosts further names that reach the service, {@code host} or {@code host:port}, in lower case
 */
record CallRules(boolean loopbackOnly, Set<String> allowedHosts) {
    static final String JSON = "application/json";
    private static final String NDJSON = "application/x-ndjson";
    private static final String JOBS = "/v1/jobs";
    private static final String IDEMPOTENCY_KEY = "Idempotency-Key";
    private static final int LONGEST_KEY = 255;
    private static final String ALLOWED_HOSTS = "penstock.api.allowed-hosts";

    private static final Set<String> READING = Set.of("GET", "HEAD", "OPTIONS");
    private static final Set<String> OWN_SITES = Set.of("same-origin", "none");
    private static final Pattern UTF8 = Pattern.compile("(?i)[ \\t]*;[ \\t]*charset=(?:utf-8|\"utf-8\")[ \\t]*");
    private static final Pattern DOTS = Pattern.compile("(?:^|[/\\\\])\\.{1,2}(?:;[^/\\\\]*)?(?:[/\\\\]|$)");
    private static final Pattern ORIGIN = Pattern.compile("(?i)(https?)://(.+)");

    CallRules {
        allowedHosts = Set.copyOf(allowedHosts);
    }

    /** The head of a call. */
    interface Head {
        String method();

        /** As it came, without the query. */
        String path();

        /** Whether this version of HTTP requires a host in every call. */
        boolean namesHost();

        /** The host of the call; HTTP/2 has it in {@code :authority}. */
        List<String> hosts();

        /** All the values of a header, one for each of its lines. */
        List<String> values(String header);
    }

    /** Why a call is refused; empty: it is not. */
    Optional<JobFailure> refusal(Head head) {
        return host(head)
                .or(() -> path(head))
                .or(() -> origin(head))
                .or(() -> type(head))
                .or(() -> key(head));
    }

    private Optional<JobFailure> host(Head head) {
        List<String> hosts = head.hosts();
        if (hosts.isEmpty()) {
            return head.namesHost()
                    ? refused(JobFailure.Code.INVALID_REQUEST, "the header Host is missing")
                    : Optional.empty();
        }
        if (hosts.size() > 1) {
            return refused(JobFailure.Code.INVALID_REQUEST, "the header Host is given more than once");
        }
        Authority host = Authority.of(hosts.getFirst()).orElse(null);
        if (host == null) {
            return refused(JobFailure.Code.INVALID_REQUEST, "the header Host is no host, or host:port");
        }
        boolean any = !loopbackOnly && allowedHosts.isEmpty();
        return any || host.isLoopback() || isAllowed(host)
                ? Optional.empty()
                : refused(
                        JobFailure.Code.FORBIDDEN,
                        "the Host of this call, '%s', is no name of this service: use localhost, or list it in %s"
                                .formatted(host.host(), ALLOWED_HOSTS));
    }

    private boolean isAllowed(Authority host) {
        return allowedHosts.contains(host.host())
                || (host.port().isPresent()
                        && allowedHosts.contains(host.host() + ":" + host.port().getAsInt()));
    }

    /**
     * The router takes dot segments out of a path and ends a segment at a semicolon: that would be another path than
     * the one that the caller sent. An encoded slash is part of a name, and is also checked as a slash.
     */
    private static Optional<JobFailure> path(Head head) {
        String decoded;
        try {
            decoded = URLDecoder.decode(head.path().replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException _) {
            return refused(JobFailure.Code.INVALID_REQUEST, "the path is not percent-encoded as it should be");
        }
        if (decoded.chars().anyMatch(Character::isISOControl) || decoded.indexOf('\uFFFD') >= 0) {
            return refused(JobFailure.Code.INVALID_REQUEST, "the path has a control character, or what is not UTF-8");
        }
        return DOTS.matcher(decoded).find()
                ? refused(JobFailure.Code.INVALID_REQUEST, "the path has a segment that is . or ..")
                : Optional.empty();
    }

    private Optional<JobFailure> origin(Head head) {
        Authority host =
                head.hosts().stream().findFirst().flatMap(Authority::of).orElse(null);
        boolean ownOrigin = head.values("Origin").stream().allMatch(origin -> isOwn(origin, host));
        boolean ownSite = head.values("Sec-Fetch-Site").stream().allMatch(OWN_SITES::contains);
        return ownOrigin && (ownSite || isFollowedLink(head))
                ? Optional.empty()
                : refused(
                        JobFailure.Code.FORBIDDEN,
                        "a web page of another origin sent this call (Origin, Sec-Fetch-Site), and those are refused. If Penstock is reached by that name, list it in "
                                + ALLOWED_HOSTS);
    }

    private boolean isOwn(String origin, @Nullable Authority host) {
        var form = ORIGIN.matcher(origin);
        if (!form.matches()) {
            return false;
        }
        int usualPort = form.group(1).equalsIgnoreCase("https") ? 443 : 80;
        return Authority.of(form.group(2))
                .filter(own -> isAllowed(own) || (host != null && own.isSame(host, usualPort)))
                .isPresent();
    }

    /** A link that a user follows to here shows its answer to the user, and not to the page that has the link. */
    private static boolean isFollowedLink(Head head) {
        return (head.method().equals("GET") || head.method().equals("HEAD"))
                && head.values("Sec-Fetch-Mode").equals(List.of("navigate"))
                && head.values("Sec-Fetch-Dest").equals(List.of("document"));
    }

    private static Optional<JobFailure> type(Head head) {
        if (READING.contains(head.method()) || isBareDelete(head)) {
            return Optional.empty();
        }
        List<String> types = head.values("Content-Type");
        boolean lines = head.method().equals("POST")
                && head.path().replaceFirst("/+$", "").equals(JOBS);
        boolean fits = types.size() == 1 && (is(JSON, types.getFirst()) || (lines && is(NDJSON, types.getFirst())));
        return fits
                ? Optional.empty()
                : refused(
                        JobFailure.Code.UNSUPPORTED_MEDIA_TYPE,
                        lines
                                ? "send the header Content-Type: application/json, or application/x-ndjson for a job a line"
                                : "send the header Content-Type: application/json: every POST, PUT and PATCH needs it, also one without a body, and every DELETE with one");
    }

    /** A browser asks by OPTIONS before any DELETE, and clients send no type where they send no body. */
    private static boolean isBareDelete(Head head) {
        return head.method().equals("DELETE")
                && head.values("Content-Type").isEmpty()
                && head.values("Transfer-Encoding").isEmpty()
                && head.values("Content-Length").stream().allMatch("0"::equals);
    }

    /** A key that is empty or there twice identifies no job, but it is not absent either. */
    private static Optional<JobFailure> key(Head head) {
        List<String> keys = head.values(IDEMPOTENCY_KEY);
        if (keys.size() > 1) {
            return Optional.of(JobFailure.invalid(IDEMPOTENCY_KEY, "is given more than once"));
        }
        return keys.stream().allMatch(key -> !key.isBlank() && key.length() <= LONGEST_KEY)
                ? Optional.empty()
                : Optional.of(
                        JobFailure.invalid(IDEMPOTENCY_KEY, "1 to %d characters are allowed".formatted(LONGEST_KEY)));
    }

    /** Exactly that type, and no parameter but the charset that it has anyway. */
    private static boolean is(String type, String value) {
        String given = value.strip().toLowerCase(Locale.ROOT);
        return given.startsWith(type)
                && (given.length() == type.length()
                        || UTF8.matcher(given.substring(type.length())).matches());
    }

    private static Optional<JobFailure> refused(JobFailure.Code code, String message) {
        return Optional.of(JobFailure.of(code, message));
    }
}
