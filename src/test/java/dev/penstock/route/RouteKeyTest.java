package dev.penstock.route;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class RouteKeyTest {
    @Test
    void a_key_comes_back_from_its_header() {
        RouteKey pinned = new RouteKey("llama", Task.TAG, new PromptJob.Pins("gpu", "gpu-a"));
        RouteKey any = new RouteKey(null, Task.CHAT, PromptJob.Pins.NONE);

        assertThat(RouteKey.ofJson(pinned.toJson())).contains(pinned);
        assertThat(RouteKey.ofJson(any.toJson())).contains(any);
        RouteKey routed =
                new RouteKey("llama", Task.CHAT, PromptJob.Pins.NONE, new Targets("long", List.of("gpu", "cloud")));
        assertThat(RouteKey.ofJson(routed.toJson())).contains(routed);
        assertThat(new String(any.toJson(), StandardCharsets.UTF_8))
                .as("without a rule the header is that of earlier versions")
                .isEqualTo("{\"task\":\"chat\"}");
        assertThat(RouteKey.ofJson(new byte[] {1})).isEmpty();
        assertThat(RouteKey.ofJson(null)).isEmpty();
    }
}
