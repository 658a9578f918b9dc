package dev.penstock.testkit.upstream;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class RecordingTest {

    @Test
    void chunksAreDecoded() {
        Recording recording = Recording.of("vllm/chat-emoji-split-stream");

        assertThat(recording.status()).isEqualTo(200);
        assertThat(recording.headers()).containsEntry("content-type", "text/event-stream; charset=utf-8");
        assertThat(recording.chunks()).first().asString().startsWith("data: {\"id\":");
        assertThat(recording.body()).contains("{\"content\":\"🙂\"}").endsWith("data: [DONE]\n\n");
        assertThat(recording.ended()).isTrue();
    }

    @Test
    void aStreamThatWasCutOffHasNoEnd() {
        Recording recording = Recording.of("ollama/server-sigkill-stream");

        assertThat(recording.ended()).isFalse();
        assertThat(recording.body()).endsWith("\"done\":false}\n");
    }

    @Test
    void aDocumentIsOneChunk() {
        Recording recording = Recording.of("llama-server/key-wrong");

        assertThat(recording.status()).isEqualTo(401);
        assertThat(recording.chunks()).hasSize(1);
        assertThat(recording.body()).contains("authentication_error");
        assertThat(recording.ended()).isTrue();
        assertThat(recording.bytes()).hasSize(recording.whole().length());
    }

    @Test
    void whatWasNotRecordedIsAnError() {
        assertThatThrownBy(() -> Recording.of("vllm/nope")).hasMessage("there is no recording vllm/nope");
    }
}
