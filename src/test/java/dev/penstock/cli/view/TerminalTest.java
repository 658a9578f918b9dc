package dev.penstock.cli.view;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class TerminalTest {
    private static final String HOSTILE = "a\033]0;title\007\u009b2J\u202Eb\r\n\t👩\u200d👧 é\n";

    @Test
    void an_answer_on_a_terminal_is_printable() throws Exception {
        Console console = new Console("", true);

        console.terminal().text(HOSTILE);
        console.terminal().line("\033[H");

        assertThat(console.out()).isEqualTo("a\uFFFD]0;title\uFFFD\uFFFD2J\uFFFDb\n\t👩\u200d👧 é\n\uFFFD[H\n");
    }

    @Test
    void an_answer_in_a_pipe_is_as_it_came() throws Exception {
        Console console = new Console("", false);

        console.terminal().text(HOSTILE);

        assertThat(console.out()).isEqualTo(HOSTILE);
    }

    @Test
    void a_note_is_one_printable_line_everywhere() {
        for (boolean real : List.of(true, false)) {
            Console console = new Console("", real);

            console.terminal().note("node a\nb\033[31m: \u202Eerror");
            console.terminal().noteBelow("x\ny");

            assertThat(console.err()).isEqualTo("penstock: node a\\nb\\u001b[31m: \\u202eerror\n\npenstock: x\\ny\n");
        }
    }

    @Test
    void only_what_a_line_is_drawn_over_with_is_a_command() {
        Console console = new Console("", true);

        console.terminal().redraw("cpu\033[5m 3 %");
        console.terminal().endRedrawn();

        assertThat(console.err()).isEqualTo("\r\033[Kcpu\\u001b[5m 3 %\n");
    }

    /** Any other output would bypass the filter. */
    @Test
    void nothing_else_of_the_client_writes_to_the_terminal() throws IOException {
        try (Stream<Path> files = Files.walk(Path.of("src/main/java/dev/penstock/cli"))) {
            for (Path file : files.filter(path -> path.toString().endsWith(".java") && !path.endsWith("Terminal.java"))
                    .toList()) {
                assertThat(Files.readString(file))
                        .as(file.toString())
                        .doesNotContain("System.out", "System.err", "\\033", "\\u001b", "FileDescriptor");
            }
        }
    }
}
