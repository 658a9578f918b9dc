package dev.penstock.cli.command;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.wire.Json;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class RouteCommandTest {
    @Test
    void the_rule_the_candidates_and_the_excluded_nodes_are_tables() {
        String text = RouteCommand.text(Objects.requireNonNull(Json.parseLenient("""
                {"rule":"small","set":{"priority":"low"},"estimated_tokens":2,
                 "candidates":[{"node":"cpu-a","model":"llama3.2:3b","score":0.5,"why":"pool cpu, 1 of 2 slots in use"}],
                 "excluded":[{"node":"gpu-a","why":"rule 'small' sends to cpu"}]}""")));

        assertThat(text).isEqualTo("""
                RULE   SET                 TOKENS
                small  {"priority":"low"}  2

                CANDIDATE  MODEL        SCORE  WHY
                cpu-a      llama3.2:3b  0.50   pool cpu, 1 of 2 slots in use

                EXCLUDED  WHY
                gpu-a     rule 'small' sends to cpu
                """);
    }

    @Test
    void no_rule_is_none() {
        String text = RouteCommand.text(Objects.requireNonNull(Json.parseLenient(
                "{\"rule\":null,\"set\":{},\"estimated_tokens\":2,\"candidates\":[],\"excluded\":[]}")));

        assertThat(text).startsWith("RULE  TOKENS\nnone  2\n").doesNotContain("EXCLUDED");
    }
}
