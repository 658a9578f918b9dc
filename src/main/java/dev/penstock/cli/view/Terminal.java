package dev.penstock.cli.view;

import dev.penstock.cli.job.Problem;
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
 * The input and output of a command, always in UTF-8. All output goes through this class: answers go to stdout, and all
 * other lines to stderr. On a terminal, text from outside is made printable. In a pipe or a file, an answer stays
 * unchanged.
 */
public final class Terminal {
    private static final String CLEARED_LINE = "\r\033[K";
    private static final String CLEARED_SCREEN = "\033[H\033[2J";

    private final InputStream in;
    private final PrintStream out;
    private final PrintStream err;
    private final boolean shows;
    private final boolean redraws;

    /**
     * @param shows whether stdout is a terminal
     * @param redraws whether stderr is a terminal that can redraw a line
     */
    public Terminal(InputStream in, PrintStream out, PrintStream err, boolean shows, boolean redraws) {
        this.in = in;
        this.out = out;
        this.err = err;
        this.shows = shows;
        this.redraws = redraws;
    }

    public static Terminal ofProcess() {
        return new Terminal(
                System.in,
                new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8),
                new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
                isTerminal(1),
                isTerminal(2));
    }

    /**
     * Returns whether a file descriptor is a terminal. Java's own method requires that both stdin and stdout are
     * terminals.
     */
    @SuppressWarnings("SystemConsoleNull") // in a native executable, it is still null without a terminal
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

    public InputStream in() {
        return in;
    }

    /** Returns whether stderr is a terminal that can redraw a line. */
    boolean redraws() {
        return redraws;
    }

    /** Prints a piece of an answer at once. */
    public void text(String text) throws Problem {
        own(shows ? Printable.text(text) : text);
    }

    public void line(String line) throws Problem {
        text(line + "\n");
    }

    /** Prints the program's own text, including control sequences for the terminal. */
    public void own(String text) throws Problem {
        out.print(text);
        out.flush();
        if (out.checkError()) {
            throw Problem.brokenOff("the reader of the output is gone");
        }
    }

    /** Clears the screen. Does nothing if stdout is not a terminal. */
    public void clearScreen() throws Problem {
        if (shows) {
            own(CLEARED_SCREEN);
        }
    }

    /** Prints a line about the progress of the command. */
    public void note(String line) {
        err.print("penstock: " + Printable.line(line) + "\n");
        err.flush();
    }

    /** Ends an unfinished line, and prints a line about the progress below it. */
    void noteBelow(String line) {
        err.print("\n");
        note(line);
    }

    /** Redraws the last line of stderr if stderr is a terminal. */
    void redraw(String line) {
        if (redraws) {
            err.print(CLEARED_LINE + Printable.line(line));
            err.flush();
        }
    }

    /** Ends the redrawn line with a line break. */
    void endRedrawn() {
        if (redraws) {
            err.print("\n");
            err.flush();
        }
    }

    /** Returns a writer for the command line's own output: usage and versions. */
    public PrintWriter ownOut() {
        return new PrintWriter(out, true, StandardCharsets.UTF_8);
    }

    public PrintWriter ownErr() {
        return new PrintWriter(err, true, StandardCharsets.UTF_8);
    }
}
