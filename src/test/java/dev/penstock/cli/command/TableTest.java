package dev.penstock.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.cli.view.Table;
import dev.penstock.wire.Json;
import java.util.List;
import org.junit.jupiter.api.Test;

class TableTest {
    @Test
    void columns_are_as_wide_as_their_widest_cell_and_empty_ones_are_left_out() {
        Table table = new Table(List.of("NAME", "NOTHING", "STATE"));
        table.add(List.of("a", "", "up"));
        table.add(List.of("gpu-ä", "", "down\nnow"));

        assertThat(table).hasToString("NAME   STATE\na      up\ngpu-ä  down now\n");
    }

    @Test
    void without_rows_the_heading_stands_alone() {
        assertThat(new Table(List.of("NAME", "STATE"))).hasToString("NAME  STATE\n");
    }

    @Test
    void nodes() throws Exception {
        String list = """
                {"data":[{"name":"a","backend":"ollama","pool":"cpu","state":"down","models":[{"id":"m1"},{"id":"m2"}],
                 "in_flight":1,"limit":2,"last_error":"refused"}]}""";

        assertThat(NodesCommand.table(Json.mapper().readTree(list))).isEqualTo("""
                NAME  STATE  BACKEND  POOL  IN FLIGHT  MODELS  ERROR
                a     down   ollama   cpu   1/2        m1, m2  refused
                """);
    }
}
