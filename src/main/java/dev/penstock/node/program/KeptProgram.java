package dev.penstock.node.program;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/**
 * A program that Penstock has started. The program runs in a session of its own, so a signal to Penstock's process
 * group, such as Ctrl-C, does not reach it. Penstock starts the program through a shell. When Penstock ends for any
 * reason, the kernel closes the shell's input, and the shell ends the program.
 */
final class KeptProgram {
    private static final Path SHELL = Path.of("/bin/sh");

    /**
     * The script of the shell. It turns on job control only without a terminal, because it would otherwise take the
     * terminal away from Penstock. It calls {@code wait} in a loop, because a signal to the shell ends {@code wait}
     * before the program has ended.
     */
    private static final String KEEPER = """
            trap : HUP INT TERM
            FIRST
            exec 3<&0
            "$@" </dev/null 3<&- &
            program=$!
            exec >/dev/null 2>&1
            { trap '' HUP INT TERM; while read -r _; do :; done; kill -SIGNAL $program; sleep GRACE; kill -KILL $program; } <&3 &
            watch=$!
            while wait $program; status=$?; kill -0 $program; do :; done
            kill -KILL $watch
            wait $watch
            exit $status
            """;

    private static final String OWN_GROUP = "(: </dev/tty) 2>/dev/null || set -m 2>/dev/null";
    private static final String DEAF = """
            if env --block-signal=INT true 2>/dev/null; then set -- env --block-signal=INT "$@"; fi
            """;

    private final Process process;
    private final boolean kept;

    private KeptProgram(Process process, boolean kept) {
        this.process = process;
        this.kept = kept;
    }

    /** The signal that asks a program to end, and the time before it is killed. */
    enum Ending {
        /** For a server, which finishes its current work. */
        TERMINATED("TERM", 5),
        /** For a program that prints closing figures before it ends. */
        INTERRUPTED("INT", 3);

        private final String signal;
        private final int graceSeconds;

        Ending(String signal, int graceSeconds) {
            this.signal = signal;
            this.graceSeconds = graceSeconds;
        }
    }

    /**
     * @param builder the command of the program alone, without the shell
     * @param deaf whether to block interrupts for the program, if the system can block them
     */
    static KeptProgram start(ProcessBuilder builder, Ending ending, boolean deaf) throws IOException {
        boolean kept = Files.isExecutable(SHELL);
        if (kept) {
            Optional<Path> setsid = Executables.find("setsid");
            List<String> command = new ArrayList<>();
            setsid.ifPresent(file -> command.add(file.toString()));
            String first = (setsid.isPresent() ? "" : OWN_GROUP + "\n") + (deaf ? DEAF : "");
            String script = KEEPER.replace("FIRST", first)
                    .replace("SIGNAL", ending.signal)
                    .replace("GRACE", String.valueOf(ending.graceSeconds));
            command.addAll(List.of(SHELL.toString(), "-c", script, "penstock-keeper"));
            command.addAll(builder.command());
            builder.command(command);
        }
        Process process = builder.start();
        if (!kept) {
            process.getOutputStream().close();
        }
        return new KeptProgram(process, kept);
    }

    Process process() {
        return process;
    }

    /** Asks the program to end, and kills it if it has not ended in time. Returns when the program has ended. */
    int end(Ending ending) throws InterruptedException {
        ask();
        if (!process.waitFor(ending.graceSeconds, TimeUnit.SECONDS)) {
            kill();
        }
        return process.waitFor();
    }

    private void ask() {
        if (!kept) {
            process.destroy();
            return;
        }
        try {
            process.getOutputStream().close();
        } catch (IOException _) {
            // the program has already ended
        }
    }

    /** Kills the program and its children. The shell reaps the dead processes and ends by itself. */
    void kill() {
        List<ProcessHandle> below = process.descendants().toList();
        below.forEach(ProcessHandle::destroyForcibly);
        if (below.isEmpty()) {
            process.destroyForcibly();
        } else {
            ask();
        }
    }
}
