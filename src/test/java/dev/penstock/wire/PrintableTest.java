package dev.penstock.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PrintableTest {
    private static final int CASES = 20_000;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "plain",
                "Grüße, Ελληνικά, Русский, 日本語, العربية, עברית, हिन्दी, ไทย",
                "می\u200cخواهم",
                "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 👍🏽 🇩🇪 ❤️",
                "e\u0301 o\u0308 \u00ad \u00a0 \ufeff",
                "\uFFFD"
            })
    void letters_marks_and_emoji_stay(String text) {
        assertThat(Printable.text(text)).isEqualTo(text);
        assertThat(Printable.line(text)).isEqualTo(text);
    }

    @ParameterizedTest
    @CsvSource({
        // the input (with escapes), on a terminal, in a line
        "a\\nb, a\\nb, a\\\\nb",
        "a\\tb, a\\tb, a\\\\tb",
        "a\\r\\nb, a\\nb, a\\\\r\\\\nb",
        "a\\rb, ab, a\\\\rb",
        "\\033[31mred\\033[0m, \\ufffd[31mred\\ufffd[0m, \\\\u001b[31mred\\\\u001b[0m",
        "\\033]0;title\\007, \\ufffd]0;title\\ufffd, \\\\u001b]0;title\\\\u0007",
        "\\u009b2J, \\ufffd2J, \\\\u009b2J",
        "\\u0085next, \\ufffdnext, \\\\u0085next",
        "\\u202Etxt.exe, \\ufffdtxt.exe, \\\\u202etxt.exe",
        "\\u2066a\\u2069, \\ufffda\\ufffd, \\\\u2066a\\\\u2069",
        "a\\u2028b\\u2029, a\\ufffdb\\ufffd, a\\\\u2028b\\\\u2029",
        "\\b\\f\\0\\u007f, \\ufffd\\ufffd\\ufffd\\ufffd, \\\\u0008\\\\u000c\\\\u0000\\\\u007f"
    })
    void what_commands_a_terminal_is_only_shown(String given, String onTerminal, String inLine) {
        String text = unescaped(given);

        assertThat(Printable.text(text)).isEqualTo(unescaped(onTerminal));
        assertThat(Printable.line(text)).isEqualTo(unescaped(inLine));
    }

    /** Resolves escapes, because the reader of the table does not. */
    private static String unescaped(String cell) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < cell.length(); i++) {
            char c = cell.charAt(i);
            if (c != '\\') {
                text.append(c);
                continue;
            }
            char kind = cell.charAt(++i);
            switch (kind) {
                case 'u' -> {
                    text.append((char) Integer.parseInt(cell.substring(i + 1, i + 5), 16));
                    i += 4;
                }
                case '0' -> {
                    boolean octal = cell.startsWith("033", i) || cell.startsWith("007", i);
                    text.append(octal ? (char) Integer.parseInt(cell.substring(i, i + 3), 8) : '\0');
                    i += octal ? 2 : 0;
                }
                case 'n' -> text.append('\n');
                case 'r' -> text.append('\r');
                case 't' -> text.append('\t');
                case 'b' -> text.append('\b');
                case 'f' -> text.append('\f');
                default -> text.append(kind);
            }
        }
        return text.toString();
    }

    @Test
    void no_text_whatever_reaches_a_terminal_as_a_command() {
        Random random = new Random(20_261_129);
        for (int i = 0; i < CASES; i++) {
            String text = random(random);
            String shown = Printable.text(text);
            String line = Printable.line(text);

            assertThat(shown.codePoints().noneMatch(c -> isHarmful(c) && c != '\n' && c != '\t'))
                    .as("case %d", i)
                    .isTrue();
            assertThat(line.codePoints().noneMatch(PrintableTest::isHarmful))
                    .as("case %d", i)
                    .isTrue();
            assertThat(Printable.text(shown)).as("done twice, case %d", i).isEqualTo(shown);
            assertThat(Printable.line(line)).as("done twice, case %d", i).isEqualTo(line);
        }
    }

    private static String random(Random random) {
        StringBuilder text = new StringBuilder();
        IntStream.range(0, random.nextInt(20)).forEach(_ -> {
            switch (random.nextInt(4)) {
                case 0 -> text.append((char) random.nextInt(0xA0));
                case 1 -> text.append((char) (0x2000 + random.nextInt(0x70)));
                case 2 -> text.append((char) random.nextInt(0x10000));
                default -> text.appendCodePoint(random.nextInt(0x110000));
            }
        });
        return text.toString();
    }

    private static boolean isHarmful(int c) {
        return c < 0x20
                || (c >= 0x7F && c <= 0x9F)
                || (c >= 0x2028 && c <= 0x202E)
                || (c >= 0x2066 && c <= 0x2069)
                || (c >= 0xD800 && c <= 0xDFFF);
    }
}
