package dev.penstock.bench;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class BenchTableTest {
    @Test
    void each_column_is_as_wide_as_its_widest_cell() {
        Table table =
                new Table("", "jobs/s", "p50").row("penstock", "7", "1.25").row("a", "1200", "3");

        assertThat(table).hasToString("""
                           jobs/s    p50
                ------------------------
                penstock        7   1.25
                a            1200      3
                """);
    }

    @Test
    void a_short_row_is_allowed() {
        assertThat(new Table("a", "b", "c").row("1")).hasToString("""
                a   b   c
                ---------
                1
                """);
    }
}
