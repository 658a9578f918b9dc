package dev.penstock.wire.document;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.Answer;
import dev.penstock.job.EventMark;
import dev.penstock.job.JobEvent;
import dev.penstock.job.JobId;
import dev.penstock.job.Task;
import dev.penstock.job.TokenEvent;
import dev.penstock.wire.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Deltas of any size become chunks that fit into records, with the same content. */
class ChunkPiecesTest {
    private static final int ROOM = 20_000;
    private static final int COUNT = 50_001;

    @ParameterizedTest
    @ValueSource(strings = {"x", "\u0001", "\"", "é", "€", "😀", "a\\\n😀ß"})
    void a_text_of_any_characters_is_cut_into_events_that_fit(String unit) {
        String text = unit.repeat(COUNT);
        List<TokenEvent> deltas = List.of(
                new TokenEvent.Role(0),
                new TokenEvent.Text(0, TokenEvent.Field.REASONING, text),
                new TokenEvent.Text(1, TokenEvent.Field.CONTENT, text),
                new TokenEvent.ToolCall(1, 0, "call_1", "look", text),
                new TokenEvent.Finish(1, "tool_calls"));

        List<List<TokenEvent>> chunks = ChunkPieces.of(deltas, ROOM);

        assertThat(chunks).allSatisfy(chunk -> assertThat(written(chunk)).hasSizeLessThanOrEqualTo(ROOM));
        assertThat(built(chunks)).isEqualTo(built(List.of(deltas)));
        assertThat(chunks)
                .as("no character is cut in two")
                .allSatisfy(chunk -> assertThat(chunk)
                        .filteredOn(TokenEvent.Text.class::isInstance)
                        .allSatisfy(delta -> assertThat(((TokenEvent.Text) delta).text())
                                .matches(piece -> !Character.isLowSurrogate(piece.charAt(0)))));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 999, 1000})
    void lists_of_log_probabilities_are_cut_between_tokens(int tokens) {
        List<Object> content = IntStream.range(0, tokens)
                .mapToObj(i -> (Object) Map.of("token", "t" + i, "logprob", -i, "bytes", List.of(1, 2, 3)))
                .toList();
        List<TokenEvent> deltas = List.of(
                new TokenEvent.Text(0, TokenEvent.Field.CONTENT, "x"),
                new TokenEvent.Logprobs(0, Map.of("content", content, "refusal", List.of())));

        List<List<TokenEvent>> chunks = ChunkPieces.of(deltas, ROOM);

        assertThat(chunks).allSatisfy(chunk -> assertThat(written(chunk)).hasSizeLessThanOrEqualTo(ROOM));
        List<Object> joined = new ArrayList<>();
        chunks.stream()
                .flatMap(List::stream)
                .filter(TokenEvent.Logprobs.class::isInstance)
                .forEach(piece -> Json.mapper()
                        .valueToTree(((TokenEvent.Logprobs) piece).value())
                        .path("content")
                        .forEach(joined::add));
        assertThat(joined.stream().map(Object::toString).collect(Collectors.joining()))
                .isEqualTo(content.stream()
                        .map(token -> Json.mapper().valueToTree(token).toString())
                        .collect(Collectors.joining()));
    }

    private static Answer built(List<List<TokenEvent>> chunks) {
        Answer.Builder builder = new Answer.Builder();
        chunks.forEach(chunk -> chunk.forEach(builder::add));
        return builder.build(new Answer.Head("id", 1, "m", Task.CHAT));
    }

    private static byte[] written(List<TokenEvent> deltas) {
        return EventDocument.write(
                new JobId("j".repeat(128)),
                new EventMark(EventMark.Kind.CHUNK, 1, "run1", 1),
                new JobEvent.Chunk(new Answer.Head("chatcmpl-" + "j".repeat(128), 1, "model", Task.CHAT), deltas));
    }
}
