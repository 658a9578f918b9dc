package dev.penstock.webhook;

import dev.penstock.job.EventMark;
import dev.penstock.job.Reading;
import dev.penstock.ledger.Ledger;
import dev.penstock.ledger.database.LedgerDatabase;
import dev.penstock.reply.Recovery;
import dev.penstock.reply.WebhookRecord;
import java.time.Duration;
import org.jboss.logging.Logger;

/**
 * Finds out whether an announced outcome is the valid one of its job. A webhook record is written before its outcome, so
 * the outcome may come later or never, and another outcome may have ended the job.
 */
final class Confirmation {
    private static final Logger LOG = Logger.getLogger(Confirmation.class);

    /** How long an announced outcome may be on its way. A send to the broker takes two minutes at most. */
    static final Duration ON_ITS_WAY = Duration.ofHours(1);

    /**
     * After this time, a job of which nothing is known counts as forgotten: the reply topic and the ledger have dropped
     * it. Then the outcome is posted.
     */
    static final Duration FORGOTTEN_AFTER = Duration.ofHours(12);

    private final Ledger ledger;
    private final Recovery recovery;

    Confirmation(Ledger ledger, Recovery recovery) {
        this.ledger = ledger;
        this.recovery = recovery;
    }

    /** The standing of an announced outcome. */
    enum Standing {
        /** It ended its job. */
        VALID,
        /** Another outcome or attempt made it void, or it was never published. */
        VOID,
        /** It may still be published. */
        OPEN
    }

    /**
     * @param reading the state of the job on the reply topic
     * @param mark the mark of the announced outcome
     * @param age the time since the outcome was announced
     */
    static Standing judge(Reading reading, EventMark mark, Duration age) {
        boolean same = reading.attempt() == mark.attempt() && mark.run().equals(reading.run());
        if (reading.isClosed()) {
            return same ? Standing.VALID : Standing.VOID;
        }
        if (reading.attempt() < 0 && age.compareTo(FORGOTTEN_AFTER) > 0) {
            return Standing.VALID;
        }
        boolean overtaken = reading.attempt() >= mark.attempt() && !same;
        return overtaken || age.compareTo(ON_ITS_WAY) > 0 ? Standing.VOID : Standing.OPEN;
    }

    /** Looks the job up in the ledger, or on the reply topic if the ledger is unavailable. */
    Standing look(WebhookRecord record, Duration age) throws InterruptedException {
        try {
            return judge(reading(record), record.mark(), age);
        } catch (Recovery.LookUpFailed e) {
            LOG.debugf("job=%s %s; it is looked up again", record.id(), e.getMessage());
            return Standing.OPEN;
        }
    }

    private Reading reading(WebhookRecord record) throws InterruptedException, Recovery.LookUpFailed {
        try {
            return ledger.lookUp(record.id())
                    .row()
                    .map(row -> row.timeline().reading())
                    .orElse(Reading.START);
        } catch (LedgerDatabase.Unavailable e) {
            LOG.debugf("job=%s %s: its reply partition is read", record.id(), e.getMessage());
            return recovery.lookUp(record.id(), record.acceptedAt()).reading();
        }
    }
}
