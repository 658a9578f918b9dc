package dev.penstock.reply;

import dev.penstock.job.JobFailure;
import dev.penstock.job.RecordPlace;
import dev.penstock.wire.document.EventDocument;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Decides which refusal of a record ends a watch. The watch's lock guards it. */
final class Refusals {
    private static final int MOST = 16;

    /**
     * The known records of the job that are not refused yet: when the last one is refused, the watch ends. Null: no
     * record is known, and any refusal ends the watch as long as the job has no event.
     */
    private @Nullable Set<RecordPlace> records = Set.of();
    /** Refusals that came before the watch's own record was known. */
    private final List<Watch.Known> undecided = new ArrayList<>();

    private boolean ownIsComing;
    private Watch.@Nullable Known last;

    /** Announces that the watch's own record will be written. */
    void expectOwn() {
        ownIsComing = true;
    }

    /**
     * Sets the watch's own record: the watcher has written it.
     *
     * @return the refusal that ends the watch; null if none does
     */
    Watch.@Nullable Known own(RecordPlace place) {
        ownIsComing = false;
        records = Set.of(place);
        Watch.Known ends = null;
        for (Watch.Known each : undecided) {
            Watch.Known found = add(each, false);
            ends = ends == null ? found : ends;
        }
        undecided.clear();
        return ends;
    }

    /** @param known null if no record is known */
    void endWith(@Nullable Set<RecordPlace> known) {
        records = known == null ? null : Set.copyOf(known);
    }

    /**
     * Adds a refusal.
     *
     * @param catchingUp whether the watch has not read all older events yet; one of them may prove that the job exists
     * @return the refusal that ends the watch; null if none does
     */
    Watch.@Nullable Known add(Watch.Known event, boolean catchingUp) {
        Set<RecordPlace> open = records;
        if (ownIsComing) {
            if (undecided.size() < MOST) {
                undecided.add(event);
            }
            return null;
        }
        if (open == null) {
            boolean another = EventDocument.failure(event.value().get())
                    .filter(failure -> failure.code() == JobFailure.Code.ID_CONFLICT)
                    .isPresent();
            last = another ? last : event;
            return catchingUp ? null : last;
        }
        Set<RecordPlace> left = new HashSet<>(open);
        boolean ofOurs = left.remove(EventDocument.rejectedPlace(event.value().get()));
        records = Set.copyOf(left);
        return ofOurs && left.isEmpty() ? event : null;
    }

    /** Returns the last refusal of any record; null if there is none. */
    Watch.@Nullable Known last() {
        return last;
    }
}
