package dev.penstock.node.program;

import dev.penstock.job.TokenEvent;
import java.util.function.Consumer;

/** Reads a program's answer from its output. Not thread-safe. */
sealed interface ProgramOutput permits TextOutput, EmbeddingOutput {
    /** Reads a piece of the standard output. Pieces may be cut anywhere. */
    void piece(byte[] bytes, Consumer<TokenEvent> events);

    /**
     * Returns whether the answer is complete although the program still runs. The program's further output is not
     * needed.
     */
    boolean isAnswered();

    /** Returns whether an answer looks complete even if an interrupt has cut it off. */
    boolean hidesInterrupt();

    /**
     * Reads the end of the output, after the program has ended.
     *
     * @param beside the lines that the program printed outside of its answer
     */
    void end(int status, LastLines beside, Consumer<TokenEvent> events);
}
