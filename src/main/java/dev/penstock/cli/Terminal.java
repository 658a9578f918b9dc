package dev.penstock.cli;

import dev.penstock.wire.Printable;
import java.io.Console;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Where a command reads and writes, always in UTF-8: answers go to out, everything said about them to err. The only one who
 * writes there. What comes from outside reaches a terminal as printable text; an answer in a pipe or a file is as it came.
 */
final class Terminal {
    private static final String CLEARED_LINE = "\r\033[K";
    private static final String CLEARED_SCREEN = "\033[H\033[2J";

    private final InputStream in;
    private final PrintStream out;
    private final PrintStream err;
    private final boolean shows;
    private final boolean redraws;

    /**
     * @param shows whether out is a terminal
     * @param redraws whether err is a terminal, on which a line can be drawn over
     */
    Terminal(InputStream in, PrintStream out, PrintStream err, boolean shows, boolean redraws) {
        this.in = in;
        this.out = out;
        this.err = err;
        this.shows = shows;
        this.redraws = redraws;
    }

    static Terminal ofProcess() {
        return new Terminal(
                System.in,
                new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8),
                new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
                isTerminal(1),
                isTerminal(2));
    }

    /** Java tells of a terminal only where in and out are one. */
    @SuppressWarnings("SystemConsoleNull") // still null where there is no terminal, in a native executable
    private static boolean isTerminal(int descriptor) {
        Path link = Path.of("/proc/self/fd/" + descriptor);
        if (Files.isSymbolicLink(link)) {
            try {
                String target = Files.readSymbolicLink(link).toString();
                return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
            } catch (IOException _) {
                return false;
            }
        }
        Console console = System.console();
        return console != null && console.isTerminal();
    }

    InputStream in() {
        return in;
    }

    /** Whether err is a terminal, on which a line can be drawn over. */
    boolean redraws() {
        return redraws;
    }

    /** Text of an answer, at once. */
    void text(String text) throws Problem {
        own(shows ? Printable.text(text) : text);
    }

    void line(String line) throws Problem {
        text(line + "\n");
    }

    /** Text of the program itself, with what it tells a terminal to do. */
    void own(String text) throws Problem {
        out.print(text);
        out.flush();
        if (out.checkError()) {
            throw Problem.brokenOff("nobody reads the output any more");
        }
    }

    /** Where out is a terminal. */
    void clearScreen() throws Problem {
        if (shows) {
            own(CLEARED_SCREEN);
        }
    }

    /** Something about what is going on. */
    void note(String line) {
        err.print("penstock: " + Printable.line(line) + "\n");
        err.flush();
    }

    /** The same below a line that is open. */
    void noteBelow(String line) {
        err.print("\n");
        note(line);
    }

    /** Draws over the last line of err, where that is a terminal. */
    void redraw(String line) {
        if (redraws) {
            err.print(CLEARED_LINE + Printable.line(line));
            err.flush();
        }
    }

    /** Ends the line that was drawn over. */
    void endRedrawn() {
        if (redraws) {
            err.print("\n");
            err.flush();
        }
    }

    /** For what the command line itself prints: usage and versions. */
    PrintWriter ownOut() {
        return new PrintWriter(out, true, StandardCharsets.UTF_8);
    }

    PrintWriter ownErr() {
        return new PrintWriter(err, true, StandardCharsets.UTF_8);
    }
}
