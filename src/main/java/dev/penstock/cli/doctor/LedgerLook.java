package dev.penstock.cli.doctor;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Checks the ledger while the service does not run: whether its file is writable, or its database answers. */
final class LedgerLook {
    private static final String WHAT = "ledger";
    private static final int CONNECT_MILLIS = 2_000;
    private static final Pattern POSTGRESQL =
            Pattern.compile("jdbc:postgresql://(?<hosts>[^/?]*)(?:/(?<database>[^?]*))?(?:\\?.*)?");
    private static final Pattern HOST = Pattern.compile("(?<host>\\[[^\\]]+\\]|[^:]+)(?::(?<port>\\d{1,5}))?");

    private LedgerLook() {}

    static Finding look(String kind, String place) {
        return switch (kind) {
            case "none" -> Finding.ok(WHAT, "none: jobs cannot be polled");
            case "postgresql" -> database(place);
            default -> file(Path.of(place).toAbsolutePath());
        };
    }

    private static Finding file(Path file) {
        Path there = file;
        while (there != null && !Files.exists(there)) {
            there = there.getParent();
        }
        boolean isPlace = there != null && (there.equals(file) || Files.isDirectory(there));
        if (there == null || !isPlace || !Files.isWritable(there)) {
            return Finding.fail(
                    WHAT,
                    "sqlite: %s cannot be written".formatted(file),
                    "change its owner or mode, or penstock.ledger.path");
        }
        return there.equals(file)
                ? Finding.ok(WHAT, "sqlite: %s".formatted(file))
                : Finding.ok(WHAT, "sqlite: %s is made at the start".formatted(file));
    }

    /** Checks whether at least one of the database's hosts answers. */
    private static Finding database(String url) {
        Matcher parts = POSTGRESQL.matcher(url);
        if (!parts.matches()) {
            return Finding.fail(
                    WHAT, "penstock.ledger.url is no URL of PostgreSQL", "jdbc:postgresql://host:5432/database");
        }
        String why = "it has no host";
        for (String address : parts.group("hosts").split(",", -1)) {
            Matcher host = HOST.matcher(address.strip());
            if (host.matches()) {
                int port = host.group("port") == null ? 5432 : Integer.parseInt(host.group("port"));
                try (Socket socket = new Socket()) {
                    socket.connect(new InetSocketAddress(host.group("host"), port), CONNECT_MILLIS);
                    return Finding.ok(
                            WHAT,
                            "postgresql: %s:%d takes connections; whether it takes the account is seen at the start"
                                    .formatted(host.group("host"), port));
                } catch (IOException | IllegalArgumentException e) {
                    why = "%s:%d: %s".formatted(host.group("host"), port, e.getMessage());
                }
            }
        }
        return Finding.fail(WHAT, "postgresql does not answer (%s)".formatted(why), "penstock.ledger.url");
    }
}
