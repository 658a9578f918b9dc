package dev.penstock.settings.source;

import dev.penstock.settings.NodeSettings;
import dev.penstock.wire.Nearest;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Detects environment variables that look like keys of Penstock but have no effect, such as misspelt variables. */
public final class KnownVariables {
    private static final String START = "PENSTOCK_";
    private static final String OF_NODE = "PENSTOCK_NODES_";

    /** The variables of the client, of bin/penstock and of the tests. They are not keys. */
    private static final Set<String> OTHERS = Set.of(
            "PENSTOCK_URL",
            "PENSTOCK_API_KEY",
            "PENSTOCK_EXECUTABLE",
            "PENSTOCK_DOCKERFILE",
            "PENSTOCK_TEST_REQUIRE_ALL");

    /**
     * The variables that Kubernetes and Docker set for a Service or a container with a name that begins with penstock.
     */
    private static final Pattern SERVICE_LINK = Pattern.compile(
            "PENSTOCK_(?:.+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT_\\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)");

    /** A variable that Kubernetes and Docker set too, but only if its value is an address. */
    private static final Pattern PORT = Pattern.compile("PENSTOCK_(?:.+_)?PORT");

    private static final Pattern ADDRESS = Pattern.compile("(?:tcp|udp|sctp)://.*");

    /** Wrong variables for the ports and the host, each with the right one, which is a variable of Quarkus. */
    private static final Map<String, String> OF_QUARKUS = Map.of(
            "PENSTOCK_PORT", "QUARKUS_HTTP_PORT",
            "PENSTOCK_HTTP_PORT", "QUARKUS_HTTP_PORT",
            "PENSTOCK_HTTP_HOST", "QUARKUS_HTTP_HOST",
            "PENSTOCK_MANAGEMENT_PORT", "QUARKUS_MANAGEMENT_PORT");

    private static final Pattern OF_ROUTES = Pattern.compile("PENSTOCK_ROUTES(?:_.*)?");

    private final Map<String, String> environment;
    private final Collection<String> keys = KnownKeys.names();
    /** The names of all variables, as patterns. A group matches the name of a node or a profile. */
    private final List<Pattern> known = keys.stream()
            .map(KnownVariables::variable)
            .map(name -> name.replace("_*_", "_(.+)_").replaceAll("\\*$", ".+").replace("#", "\\d+"))
            .map(Pattern::compile)
            .toList();
    /** The names of the nodes from files and arguments, as variables spell them. */
    private final Set<String> nodes;

    public KnownVariables(Map<String, String> environment, Collection<NodeSettings> nodes) {
        this.environment = environment;
        this.nodes = nodes.stream().map(node -> upper(node.name())).collect(Collectors.toSet());
    }

    private static String upper(String name) {
        return name.replaceAll("[^A-Za-z0-9]", "_").toUpperCase(Locale.ROOT);
    }

    /** Returns the variable of a key; {@code *} stands for any name, {@code #} for a number. */
    private static String variable(String key) {
        return key.replace("[*]", "[#]").replaceAll("[^A-Za-z0-9*#]", "_").toUpperCase(Locale.ROOT);
    }

    /** Returns one sentence for each variable without effect. */
    public List<String> unknown() {
        List<String> unknown = new ArrayList<>();
        new TreeMap<>(environment).forEach((name, value) -> {
            String upper = upper(name);
            if (!upper.startsWith(START) || OTHERS.contains(upper) || isLink(upper, value)) {
                return;
            }
            if (known.stream().noneMatch(key -> key.matcher(upper).matches())) {
                unknown.add(
                        OF_ROUTES.matcher(upper).matches()
                                ? "the variable %s has no effect: the routing rules come from a file or an argument"
                                        .formatted(name)
                                : KnownKeys.isLaterVariable(upper)
                                        ? "the variable %s is of a later version: it has no effect in this one"
                                                .formatted(name)
                                        : "the variable %s has no effect: no key of Penstock has this name. Did you mean %s?"
                                                .formatted(name, nearest(upper)));
            } else if (upper.startsWith(OF_NODE) && isOfNoNode(upper)) {
                unknown.add(
                        "the variable %s has no effect: no file configures a node of that name, and a node that is only in the environment has a name without - and _"
                                .formatted(name));
            }
        });
        return unknown;
    }

    private static boolean isLink(String name, String value) {
        return SERVICE_LINK.matcher(name).matches()
                || (PORT.matcher(name).matches()
                        && ADDRESS.matcher(value.strip()).matches());
    }

    /**
     * Returns whether the variable is for a node that nothing configures. If only the environment configures a node,
     * the node's name must not contain an underscore. Otherwise it would be ambiguous where the name ends and the key
     * begins.
     */
    private boolean isOfNoNode(String variable) {
        return known.stream()
                .map(key -> key.matcher(variable))
                .filter(Matcher::matches)
                .noneMatch(parts -> {
                    String node = parts.groupCount() == 0 ? "" : parts.group(1);
                    return !node.contains("_") || nodes.contains(node);
                });
    }

    /**
     * Returns the most similar variable. If a key allows any name, the result contains the name in the given variable.
     */
    private String nearest(String name) {
        String port = OF_QUARKUS.get(name);
        if (port != null) {
            return port;
        }
        List<String> candidates = new ArrayList<>();
        for (String key : keys) {
            String variable = variable(key).replace("#", "0");
            int star = variable.indexOf('*');
            if (star < 0) {
                candidates.add(variable);
            } else if (name.startsWith(variable.substring(0, star))) {
                String rest = name.substring(star);
                for (int end = rest.indexOf('_'); end > 0; end = rest.indexOf('_', end + 1)) {
                    candidates.add(variable.substring(0, star)
                            + rest.substring(0, end)
                            + variable.substring(star + 1).replace("*", "NAME"));
                }
            }
        }
        return Nearest.of(name, candidates).orElse("");
    }
}
