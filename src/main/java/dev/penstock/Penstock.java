package dev.penstock;

import dev.penstock.cli.Client;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.annotations.QuarkusMain;

/** The program: without arguments the service, with arguments its client. */
@QuarkusMain
public final class Penstock {
    private Penstock() {}

    public static void main(String... args) {
        if (args.length == 0) {
            Quarkus.run();
        } else {
            System.exit(Client.run(args));
        }
    }
}
