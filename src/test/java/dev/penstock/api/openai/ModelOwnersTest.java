package dev.penstock.api.openai;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.settings.Backend;
import org.junit.jupiter.api.Test;

class ModelOwnersTest {

    @Test
    void every_owner_of_a_model_is_named() {
        ModelOwners owners = new ModelOwners();
        owners.add("gpu-b", Backend.VLLM);
        owners.add("cpu-a", Backend.OLLAMA);
        owners.add("gpu-a", Backend.VLLM);

        assertThat(owners.document("tiny"))
                .hasToString(
                        "{\"id\":\"tiny\",\"object\":\"model\",\"created\":0,\"owned_by\":\"ollama, vllm\",\"nodes\":[\"cpu-a\",\"gpu-a\",\"gpu-b\"]}");
    }
}
