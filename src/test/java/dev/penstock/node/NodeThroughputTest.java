package dev.penstock.node;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class NodeThroughputTest {
    @Test
    void it_counts_on_past_what_an_int_holds() {
        NodeThroughput pace = new NodeThroughput(Integer.MAX_VALUE - 1L);

        for (int i = 0; i < 300; i++) {
            pace.firstToken(20);
            pace.answer(11, 2);
        }

        assertThat(pace.firstTokenMillis(0.5)).isEqualTo(20);
        assertThat(pace.tokensPerSecond()).isEqualTo(5);
    }
}
