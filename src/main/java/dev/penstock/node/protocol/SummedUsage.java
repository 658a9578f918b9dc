package dev.penstock.node.protocol;

import dev.penstock.job.TokenEvent;
import dev.penstock.job.Usage;
import dev.penstock.node.protocol.answer.AnswerParser;
import dev.penstock.node.protocol.answer.Cutter;
import java.util.function.Consumer;

/** Adds up the usage of the choices, for a server that reports the usage of each choice separately. */
final class SummedUsage implements AnswerParser {
    private final AnswerParser parser;
    private Usage sum = Usage.NONE;

    SummedUsage(AnswerParser parser) {
        this.parser = parser;
    }

    @Override
    public void line(String line, Consumer<TokenEvent> events) {
        parser.line(line, event -> events.accept(summed(event)));
    }

    @Override
    public Cutter cutter(int longest, Consumer<TokenEvent> events) {
        return parser.cutter(longest, event -> events.accept(summed(event)));
    }

    @Override
    public void failed(String words, Consumer<TokenEvent> events) {
        parser.failed(words, event -> events.accept(summed(event)));
    }

    @Override
    public String name() {
        return parser.name();
    }

    @Override
    public boolean readsAtEnd() {
        return parser.readsAtEnd();
    }

    @Override
    public void end(Consumer<TokenEvent> events) {
        parser.end(event -> events.accept(summed(event)));
    }

    private TokenEvent summed(TokenEvent event) {
        if (!(event instanceof TokenEvent.Spent(Usage usage))) {
            return event;
        }
        sum = sum.plus(usage);
        return new TokenEvent.Spent(sum);
    }
}
