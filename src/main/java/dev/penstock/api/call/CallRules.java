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
 * Refuses calls with an ambiguous head, and calls that a browser can send for a web page of another site. Before a
 * browser sends a body with a JSON type, or uses another method than GET, HEAD and POST, it asks for permission by
 * OPTIONS. The service never gives this permission.
 *
 * <p>A browser sends a form without asking. Only the calls with images take forms, and a stricter rule holds for them:
 * a browser's call must show by {@code Origin} or {@code Sec-Fetch-Site} that its page is of this service. All current
 * browsers send {@code Origin} with every POST. An old browser that sends neither header is refused by its name.
 *
 * @param loopbackOnly true if the service listens only on loopback. Then any other name as Host is refused, because a
 *     web page can direct such a name to loopback
 * @param allowedHosts further names of the service, as {@code host} or {@code host:port}, in lower case
 */
record CallRules(boolean loopbackOnly, Set<String> allowedHosts) {
    static final String JSON = "application/json";
    private static final String NDJSON = "application/x-ndjson";
    private static final String JOBS = "/v1/jobs";
    private static final Set<String> TAKING_FORMS = Set.of("/v1/describe", "/v1/tag");
    private static final String IDEMPOTENCY_KEY = "Idempotency-Key";
    private static final int LONGEST_KEY = 255;
    private static final String ALLOWED_HOSTS = "penstock.api.allowed-hosts";

    private static final Set<String> READING = Set.of("GET", "HEAD", "OPTIONS");
    private static final Set<String> OWN_SITES = Set.of("same-origin", "none");
    private static final Pattern UTF8 = Pattern.compile("(?i)[ \\t]*;[ \\t]*charset=(?:utf-8|\"utf-8\")[ \\t]*");
    private static final Pattern FORM = Pattern.compile(
            "(?i)multipart/form-data[ \\t]*;[ \\t]*boundary=(?:\"[-0-9A-Za-z'()+_,./:=? ]{1,70}\"|[-0-9A-Za-z'()+_./:=?]{1,70})");
    /** All browsers begin their names like this. */
    private static final String BROWSER = "Mozilla/";

    private static final Pattern DOTS = Pattern.compile("(?:^|[/\\\\])\\.{1,2}(?:;[^/\\\\]*)?(?:[/\\\\]|$)");
    private static final Pattern CANCEL = Pattern.compile("/v1/responses/[^/]+/cancel/*");
    private static final Pattern ORIGIN = Pattern.compile("(?i)(https?)://(.+)");

    CallRules {
        allowedHosts = Set.copyOf(allowedHosts);
    }

    /** The head of a call. */
    interface Head {
        String method();

        /** Returns the path as the caller sent it, without the query. */
        String path();

        /** Returns whether this version of HTTP requires a host in every call. */
        boolean namesHost();

        /** Returns the values of {@code Host}, or of HTTP/2's {@code :authority}. */
        List<String> hosts();

        /** Returns all values of a header, one for each of its lines. */
        List<String> values(String header);
    }

    /** Returns why the call is refused; empty if it is allowed. */
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
     * Refuses control characters and dot segments. The router removes dot segments, and ends a segment at a semicolon,
     * so it would serve another path than the caller sent. An encoded slash is part of a name, but this check also
     * treats it as a slash.
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

    /**
     * Returns whether the user followed a link. Then the browser shows the answer to the user, and the page with the
     * link cannot read it.
     */
    private static boolean isFollowedLink(Head head) {
        return (head.method().equals("GET") || head.method().equals("HEAD"))
                && head.values("Sec-Fetch-Mode").equals(List.of("navigate"))
                && head.values("Sec-Fetch-Dest").equals(List.of("document"));
    }

    private static Optional<JobFailure> type(Head head) {
        if (READING.contains(head.method()) || needsNoType(head)) {
            return Optional.empty();
        }
        List<String> types = head.values("Content-Type");
        String path = head.path().replaceFirst("/+$", "");
        boolean lines = head.method().equals("POST") && path.equals(JOBS);
        boolean forms = head.method().equals("POST") && TAKING_FORMS.contains(path);
        if (forms && types.size() == 1 && FORM.matcher(types.getFirst().strip()).matches()) {
            return isUnmarkedBrowser(head)
                    ? refused(
                            JobFailure.Code.FORBIDDEN,
                            "a browser sent this form without Origin and Sec-Fetch-Site, so any web page may have sent it")
                    : Optional.empty();
        }
        boolean fits = types.size() == 1 && (is(JSON, types.getFirst()) || (lines && is(NDJSON, types.getFirst())));
        return fits
                ? Optional.empty()
                : refused(
                        JobFailure.Code.UNSUPPORTED_MEDIA_TYPE,
                        lines
                                ? "send the header Content-Type: application/json, or application/x-ndjson for a job a line"
                                : forms
                                        ? "send the header Content-Type: application/json, or multipart/form-data with its boundary"
                                        : "send the header Content-Type: application/json: every POST, PUT and PATCH needs it, also one without a body, and every DELETE with one");
    }

    /** Returns whether a browser sent the call, and did not say for which page. */
    private static boolean isUnmarkedBrowser(Head head) {
        boolean marked = !head.values("Origin").isEmpty()
                || !head.values("Sec-Fetch-Site").isEmpty();
        boolean browser = !head.values("Referer").isEmpty()
                || head.values("User-Agent").stream().anyMatch(name -> name.contains(BROWSER));
        return browser && !marked;
    }

    /**
     * Returns whether the call needs no content type: a DELETE without a body, or the cancellation of a response without
     * a body. Clients send no content type without a body. A browser asks by OPTIONS before any DELETE, and sends an
     * Origin with every POST.
     */
    private static boolean needsNoType(Head head) {
        boolean mayBeBare = head.method().equals("DELETE")
                || (head.method().equals("POST") && CANCEL.matcher(head.path()).matches());
        return mayBeBare
                && head.values("Content-Type").isEmpty()
                && head.values("Transfer-Encoding").isEmpty()
                && head.values("Content-Length").stream().allMatch("0"::equals);
    }

    /**
     * Refuses an Idempotency-Key that is empty, too long or given twice. Such a key identifies no job, but the call
     * must not be treated as a call without a key.
     */
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

    /**
     * Returns whether a content type is exactly this type. The only allowed parameter is {@code charset=utf-8}, the
     * type's own charset.
     */
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
