package dev.penstock.node.program;

import dev.penstock.job.TokenEvent;
import java.util.function.Consumer;

/** Reads a program's answer from its output. Not thread-safe. */
sealed interface ProgramOutput permits TextOutput, EmbeddingOutput {
    /** Reads a piece of the standard output, cut anywhere. */
    void piece(byte[] bytes, Consumer<TokenEvent> events);

    /** Returns whether the answer is complete while the program still runs. Its further output is not needed. */
    boolean isAnswered();

    /** Returns whether an answer that an interrupt cut looks complete. */
    boolean hidesInterrupt();

    /**
     * The program has ended.
     *
     * @param beside the lines that it printed beside its answer
     */
    void end(int status, LastLines beside, Consumer<TokenEvent> events);
}
