package dev.penstock.intake;

import dev.penstock.dispatch.Hold;
import dev.penstock.job.RecordPlace;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * A record in one share consumer's hand. Its run's thread says what it wants of it; the consumer's own thread does it.
 */
final class Held implements Hold {
    private final ConsumerRecord<byte[], byte[]> record;
    private final ShareConsumerLoop owner;
    private boolean acknowledged;

    Held(ConsumerRecord<byte[], byte[]> record, ShareConsumerLoop owner) {
        this.record = record;
        this.owner = owner;
    }

    /** What the thread of a run asks of the consumer's. */
    sealed interface Wish {
        Held held();

        /** The run is over. */
        record Finish(Held held, AcknowledgeType how) implements Wish {}

        /** @param renewed completed with whether the lock is still ours */
        record Renew(Held held, CompletableFuture<Boolean> renewed) implements Wish {}
    }

    ConsumerRecord<byte[], byte[]> record() {
        return record;
    }

    RecordPlace place() {
        return new RecordPlace(record.topic(), record.partition(), record.offset());
    }

    int deliveries() {
        return record.deliveryCount().map(Short::intValue).orElse(1);
    }

    @Override
    public boolean mayHaveRun() {
        return deliveries() > 1;
    }

    @Override
    public boolean renew() throws InterruptedException {
        CompletableFuture<Boolean> renewed = new CompletableFuture<>();
        owner.wish(new Wish.Renew(this, renewed));
        return renewed.join();
    }

    @Override
    public void acknowledge() {
        acknowledged = true;
        owner.wish(new Wish.Finish(this, AcknowledgeType.ACCEPT));
    }

    /**
     * The run is over. Without an acknowledgement the record goes back; its delivery count stays raised, so this is only
     * for what was lost, stopped or failed without a word.
     */
    void end() {
        if (!acknowledged) {
            owner.wish(new Wish.Finish(this, AcknowledgeType.RELEASE));
        }
    }
}
