package dev.penstock.cli;

import java.io.Console;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Where a command reads and writes, always in UTF-8: answers go to out, everything said about them to err.
 *
 * @param redraws whether err is a terminal, on which a line can be drawn over
 */
record Terminal(InputStream in, PrintStream out, PrintStream err, boolean redraws) {

    static Terminal ofProcess() {
        return new Terminal(
                System.in,
                new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8),
                new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8),
                errIsTerminal());
    }

    /** Java tells of a terminal only where in and out are one. */
    @SuppressWarnings("SystemConsoleNull") // still null where there is no terminal, in a native executable
    private static boolean errIsTerminal() {
        Path descriptor = Path.of("/proc/self/fd/2");
        if (Files.isSymbolicLink(descriptor)) {
            try {
                String target = Files.readSymbolicLink(descriptor).toString();
                return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
            } catch (IOException _) {
                return false;
            }
        }
        Console console = System.console();
        return console != null && console.isTerminal();
    }

    /** Text of an answer, at once. */
    void text(String text) throws Problem {
        out.print(text);
        out.flush();
        if (out.checkError()) {
            throw Problem.brokenOff("nobody reads the output any more");
        }
    }

    void line(String line) throws Problem {
        text(line + "\n");
    }

    /** Something about what is going on. */
    void note(String line) {
        err.print("penstock: " + line + "\n");
        err.flush();
    }
}
