package dev.penstock.settings.source;

import io.quarkus.runtime.configuration.MemorySize;
import io.smallrye.config.WithDefault;
import java.util.Optional;

/** The size limits of a model server's answers. */
public interface AnswersConfig {
    /** The maximum size of one answer on the wire. Default: a sixteenth of the largest heap, but at most 64M. */
    Optional<MemorySize> maxBytes();

    /** The maximum size of one line or event of an answer. */
    @WithDefault("16M")
    MemorySize maxLine();

    /** The maximum size of a list of models, or of another answer about the server itself. */
    @WithDefault("4M")
    MemorySize maxListing();

    /** The maximum size of the document that answers one request for embeddings. */
    @WithDefault("32M")
    MemorySize maxEmbeddings();

    /** The maximum size of all progress messages of one pull or load of a model. */
    @WithDefault("256M")
    MemorySize maxPull();
}
