package dev.penstock.node.program;

import dev.penstock.job.JobFailure;
import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Reads the text that llama-cli, llama-completion and llama-mtmd-cli print (observed with 0.7.0). It removes the text
 * before and after the answer. An answer is complete only if the program has also printed its closing figures. The
 * farewell and status 0 are not enough, because a program that a signal ends may have both. Bytes may be cut anywhere.
 * Not thread-safe.
 */
final class TextOutput implements ProgramOutput {
    private static final Pattern PROMPT_TOKENS = Pattern.compile("prompt eval time = .*/ +(\\d+) tokens");
    private static final Pattern TOKENS = Pattern.compile("(?<!prompt )\\beval time = .*/ +(\\d+) (?:tokens|runs)");
    /** Matches a line that llama-cli prints before the answer. */
    private static final Pattern NEW_PROMPT = Pattern.compile("new prompt, .*task\\.n_tokens = (\\d+)");

    /**
     * {@code LOADED} and {@code ENCODING} match lines that llama-mtmd-cli prints when the model is loaded, and when it
     * encodes the images.
     */
    private static final Pattern LOADED = Pattern.compile("main: loading model: ");

    private static final Pattern ENCODING = Pattern.compile("encoding mtmd batch");
    private static final Pattern CONTEXT_FULL = Pattern.compile("failed to find a memory slot");
    private static final Pattern TRUNCATED = Pattern.compile("truncated = (\\d+)");
    private static final Pattern SERVER_ERROR = Pattern.compile("send_error: .*?error: (.*)");
    private static final String ERROR = "Error: ";
    private static final String THINKING = "\n[Start thinking]\n\n";
    private static final String THOUGHT = "[End thinking]\n\n";
    private static final String FAREWELL = "\n\n\nExiting...\n";
    private static final int ECHOED = 500;

    private final Form form;
    private final String prompt;
    private final byte[] before;
    private final boolean chat;
    private final StopStrings stops;
    private final OptionalLong limit;
    private final Function<String, OptionalLong> counter;
    private final HeldText after;
    private final HeldText thoughts = new HeldText(List.of("\n" + THOUGHT, THOUGHT, FAREWELL));
    private final CharsetDecoder decoder = StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPLACE)
            .onUnmappableCharacter(CodingErrorAction.REPLACE);
    private ByteArrayOutputStream raw = new ByteArrayOutputStream();
    private final StringBuilder opening = new StringBuilder();
    private Stage stage = Stage.BEFORE;
    private final StringBuilder printed = new StringBuilder();
    private int pieces;

    /** The form of the output of each program. */
    enum Form {
        /**
         * llama-cli prints a banner, the prompt, the answer and a farewell. If it fails, it prints the error in place
         * of the answer.
         */
        CHAT(FAREWELL, FAREWELL),
        /** llama-completion prints the answer, and a mark if the model ended it. */
        COMPLETION(" [end of text]\n\n\n", "\n\n"),
        /** llama-mtmd-cli prints an empty line, the answer, and one more line if the model ended it. */
        IMAGES("\n\n\n", "\n\n");

        private final String ended;
        private final String cut;

        /**
         * @param ended the text that the program prints after an answer that the model ended
         * @param cut the text that the program prints after any other answer
         */
        Form(String ended, String cut) {
            this.ended = ended;
            this.cut = cut;
        }

        List<String> endings() {
            return List.of(ended, cut);
        }
    }

    private enum Stage {
        BEFORE,
        OPENING,
        THINKING,
        SPEAKING
    }

    private TextOutput(
            Form form,
            String prompt,
            byte[] before,
            boolean chat,
            StopStrings stops,
            OptionalLong limit,
            Function<String, OptionalLong> counter) {
        this.form = form;
        this.prompt = prompt;
        this.before = before;
        this.chat = chat;
        this.stops = stops;
        this.limit = limit;
        this.counter = counter;
        after = new HeldText(form.endings());
    }

    /**
     * @param prompt the program's input
     * @param limit the largest number of tokens in the answer
     * @param counter counts the tokens of a text, for an answer that a stop string ends
     */
    static TextOutput ofChat(
            String prompt, StopStrings stops, OptionalLong limit, Function<String, OptionalLong> counter) {
        byte[] bytes = prompt.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream echo = new ByteArrayOutputStream();
        echo.writeBytes("\n> ".getBytes(StandardCharsets.UTF_8));
        echo.write(bytes, 0, Math.min(bytes.length, ECHOED));
        echo.writeBytes((bytes.length > ECHOED ? " ... (truncated)\n" : "\n").getBytes(StandardCharsets.UTF_8));
        return new TextOutput(Form.CHAT, prompt, echo.toByteArray(), true, stops, limit, counter);
    }

    static TextOutput ofCompletion(
            String prompt,
            boolean chat,
            StopStrings stops,
            OptionalLong limit,
            Function<String, OptionalLong> counter) {
        return new TextOutput(Form.COMPLETION, prompt, new byte[0], chat, stops, limit, counter);
    }

    static TextOutput ofImages(
            String prompt, StopStrings stops, OptionalLong limit, Function<String, OptionalLong> counter) {
        return new TextOutput(Form.IMAGES, prompt, new byte[0], true, stops, limit, counter);
    }

    @Override
    public boolean isAnswered() {
        return stops.isFound();
    }

    /**
     * Returns true for llama-mtmd-cli, which prints all of its figures after an interrupt and ends with status 0. If
     * the job has stop strings, the result is false, because Penstock itself interrupts the program.
     */
    @Override
    public boolean hidesInterrupt() {
        return form == Form.IMAGES && stops.isEmpty();
    }

    @Override
    public void piece(byte[] bytes, Consumer<TokenEvent> events) {
        raw.writeBytes(bytes);
        byte[] all = raw.toByteArray();
        int start = 0;
        if (stage == Stage.BEFORE) {
            int at = indexOf(all, before);
            if (at < 0) {
                return;
            }
            start = at + before.length;
            stage = form == Form.COMPLETION ? Stage.SPEAKING : Stage.OPENING;
        }
        ByteBuffer in = ByteBuffer.wrap(all, start, all.length - start);
        CharBuffer out = CharBuffer.allocate(in.remaining() + 1);
        decoder.decode(in, out, false);
        raw = new ByteArrayOutputStream();
        raw.write(all, all.length - in.remaining(), in.remaining());
        text(out.flip().toString(), events);
    }

    private static int indexOf(byte[] in, byte[] what) {
        for (int at = 0; at <= in.length - what.length; at++) {
            if (Arrays.equals(in, at, at + what.length, what, 0, what.length)) {
                return at;
            }
        }
        return -1;
    }

    private void text(String text, Consumer<TokenEvent> events) {
        switch (stage) {
            case OPENING -> {
                if (form == Form.IMAGES) {
                    if (!text.isEmpty()) {
                        stage = Stage.SPEAKING;
                        text(text.startsWith("\n") ? text.substring(1) : text, events);
                    }
                    return;
                }
                opening.append(text);
                String so = opening.toString();
                if (so.startsWith(THINKING)) {
                    stage = Stage.THINKING;
                    text(so.substring(THINKING.length()), events);
                } else if (!THINKING.startsWith(so) && !ERROR.startsWith(so) && !so.startsWith(ERROR)) {
                    stage = Stage.SPEAKING;
                    text(so, events);
                }
            }
            case THINKING -> {
                String all = thoughts.held() + text;
                int end = all.indexOf(THOUGHT);
                if (end < 0) {
                    emit(TokenEvent.Field.REASONING, thoughts.through(text), events);
                    return;
                }
                String last = all.substring(0, end);
                emit(
                        TokenEvent.Field.REASONING,
                        last.endsWith("\n") ? last.substring(0, last.length() - 1) : last,
                        events);
                stage = Stage.SPEAKING;
                text(all.substring(end + THOUGHT.length()), events);
            }
            case SPEAKING -> emitContent(after.through(text), events);
            case BEFORE -> throw new IllegalStateException("no part of the answer is read yet");
        }
    }

    private void emitContent(String text, Consumer<TokenEvent> events) {
        if (!stops.isFound()) {
            emit(TokenEvent.Field.CONTENT, stops.through(text), events);
        }
    }

    private void emit(TokenEvent.Field field, String text, Consumer<TokenEvent> events) {
        if (text.isEmpty()) {
            return;
        }
        if (pieces == 0 && chat) {
            events.accept(new TokenEvent.Role(0));
        }
        pieces++;
        printed.append(text);
        events.accept(new TokenEvent.Text(0, field, text));
    }

    @Override
    public void end(int status, LastLines beside, Consumer<TokenEvent> events) {
        if (stops.isFound()) {
            finish("stop", beside, events);
            return;
        }
        if (form == Form.IMAGES && status != 0 && beside.has(CONTEXT_FULL)) {
            full(beside, events);
            return;
        }
        if (form == Form.IMAGES && status == 1 && beside.has(LOADED) && !beside.has(ENCODING)) {
            // the reason may be missing, because the program may end before the thread that prints it
            events.accept(new TokenEvent.Broken(JobFailure.of(
                    JobFailure.Code.INVALID_REQUEST, "cannot read an image of this job: " + beside.inShort())));
            return;
        }
        String reported = form == Form.CHAT ? beside.error(SERVER_ERROR).orElse("") : "";
        if (status != 0 || !reported.isEmpty()) {
            String words = reported.isEmpty() ? beside.inShort() : reported;
            events.accept(new TokenEvent.Broken(ProgramFailure.of(status, words, pieces > 0)));
            return;
        }
        if (stage == Stage.BEFORE && form == Form.CHAT) {
            events.accept(new TokenEvent.Broken(JobFailure.of(
                    JobFailure.Code.NODE_ERROR,
                    "printed no answer in the form that is known, of llama.cpp 0.7.0: " + beside.inShort())));
            return;
        }
        OptionalLong tokens = beside.number(TOKENS);
        if (stage == Stage.OPENING
                && tokens.orElse(0) == 0
                && opening.toString().startsWith(ERROR)) {
            // read here, because the program's other report of this error may be missing
            String words = opening.substring(ERROR.length()).replace(FAREWELL, "");
            events.accept(new TokenEvent.Broken(ProgramFailure.of(status, words, pieces > 0)));
            return;
        }
        String ending = last(events);
        if (stops.isFound()) {
            finish("stop", beside, events);
        } else if (ending.isEmpty() || tokens.isEmpty()) {
            events.accept(new TokenEvent.Broken(JobFailure.of(
                    JobFailure.Code.STREAM_BROKEN,
                    ending.isEmpty()
                            ? "was gone before all of its answer was printed"
                            : "was stopped before its answer was whole: it printed no closing figures")));
        } else {
            finish(isCut(ending, beside) ? "length" : "stop", beside, events);
        }
    }

    private boolean isCut(String ending, LastLines beside) {
        boolean ended = ending.equals(form.ended);
        boolean full = limit.isPresent() && generated(beside) >= limit.getAsLong();
        return switch (form) {
            case CHAT -> full || beside.number(TRUNCATED).orElse(0) > 0;
            case COMPLETION -> !ended;
            case IMAGES -> limit.isPresent() ? full : !ended;
        };
    }

    /** Ends the answer when the context is full, in which case llama-mtmd-cli fails. */
    private void full(LastLines beside, Consumer<TokenEvent> events) {
        if (pieces == 0) {
            events.accept(new TokenEvent.Broken(JobFailure.of(
                    JobFailure.Code.CONTEXT_LENGTH_EXCEEDED,
                    "has no room for the prompt in its context: " + beside.inShort())));
            return;
        }
        emit(TokenEvent.Field.CONTENT, stops.through(after.held()) + stops.rest(), events);
        finish("length", beside, events);
    }

    private void finish(String reason, LastLines beside, Consumer<TokenEvent> events) {
        // counted here, because an interrupted program may end before it has printed the count
        long read = Stream.of(PROMPT_TOKENS, NEW_PROMPT)
                .map(beside::number)
                .filter(OptionalLong::isPresent)
                .findFirst()
                .orElseGet(() -> counter.apply(prompt))
                .orElse(0);
        events.accept(new TokenEvent.Spent(new Usage(read, generated(beside))));
        events.accept(new TokenEvent.Finish(0, reason));
        events.accept(new TokenEvent.End());
    }

    /**
     * Returns the number of generated tokens that the program printed. If the program ended earlier, this method counts
     * the tokens of the text and the stop string.
     */
    private long generated(LastLines beside) {
        OptionalLong reported = beside.number(TOKENS);
        if (reported.isPresent()) {
            // the other programs do not count their first token
            return form == Form.CHAT ? reported.getAsLong() : reported.getAsLong() + 1;
        }
        return counter.apply(printed + stops.foundString()).orElse(pieces);
    }

    /**
     * Reads the end of the output. llama.cpp 0.7.0 prints in a thread, and may exit before that thread has finished. So
     * the end of an answer, or its closing figures, may be missing. If a model answers within milliseconds, even the
     * whole answer may be missing.
     *
     * @return the text that the program prints after an answer; empty if this text is missing
     */
    private String last(Consumer<TokenEvent> events) {
        if (stage == Stage.OPENING) {
            stage = Stage.SPEAKING;
            emitContent(after.through(opening.toString()), events);
        }
        if (stage == Stage.THINKING) {
            String thought = thoughts.held();
            String end = ending(thought);
            emit(TokenEvent.Field.REASONING, thought.substring(0, thought.length() - end.length()), events);
            return end;
        }
        String held = after.held();
        String ending = ending(held);
        emitContent(held.substring(0, held.length() - ending.length()), events);
        if (!stops.isFound()) {
            emit(TokenEvent.Field.CONTENT, stops.rest(), events);
        }
        return ending;
    }

    private String ending(String text) {
        return form.endings().stream().filter(text::endsWith).findFirst().orElse("");
    }
}
