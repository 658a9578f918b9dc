package dev.penstock.node;

import dev.penstock.job.TokenEvent;
import java.util.function.Consumer;

/** Reads what one program prints as its answer. Not thread-safe. */
sealed interface ProgramOutput permits TextOutput, EmbeddingOutput {
    /** A piece of its standard output, wherever that was cut. */
    void piece(byte[] bytes, Consumer<TokenEvent> events);

    /** Whether the answer is whole although the program goes on: what it prints from now on is of no use. */
    boolean isAnswered();

    /** Whether an answer that an interrupt cut looks whole. */
    boolean hidesInterrupt();

    /**
     * It has ended.
     *
     * @param said what it said beside its answer
     */
    void end(int status, LastLines said, Consumer<TokenEvent> events);
}
