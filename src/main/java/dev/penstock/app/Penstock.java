package dev.penstock.app;

import dev.penstock.api.connection.ConnectionDeadlines;
import dev.penstock.cli.Client;
import dev.penstock.settings.read.SettingsReader;
import dev.penstock.settings.start.StartCheck;
import dev.penstock.settings.start.StartFailure;
import dev.penstock.wire.Printable;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.annotations.QuarkusMain;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The main class. Without arguments it runs the service; with arguments it runs the command-line client. */
@QuarkusMain
public final class Penstock {
    private Penstock() {}

    public static void main(String... args) {
        if (args.length > 0) {
            System.exit(Client.run(
                    () -> InstallationReader.read(new StartCheck(System.getenv(), arguments(), Path.of("")).find()),
                    args));
        }
        List<String> mistakes = new StartCheck(System.getenv(), arguments(), Path.of("")).mistakes();
        if (!mistakes.isEmpty()) {
            System.err.println(Printable.text(SettingsReader.listed(mistakes)));
            System.exit(1);
        }
        ConnectionDeadlines.turnOn();
        StartFailure.showPlainly();
        Quarkus.run();
    }

    private static Map<String, String> arguments() {
        Map<String, String> arguments = new HashMap<>();
        System.getProperties().stringPropertyNames().forEach(name -> arguments.put(name, System.getProperty(name)));
        return arguments;
    }
}
