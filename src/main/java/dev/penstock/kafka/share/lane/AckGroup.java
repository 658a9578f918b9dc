package dev.penstock.kafka.share.lane;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/**
 * Acknowledgements of one partition that go out in one request. The broker accepts or refuses them as a whole: one
 * record of another consumer undoes the rest.
 *
 * @param acks by ascending offset, each offset once
 */
public record AckGroup(List<Ack> acks) {
    /** The acknowledgement of one record. */
    record Ack(long offset, Acknowledgement type) {}

    /** Adjacent offsets with the same number of the protocol. */
    public record Range(long first, long last, Acknowledgement type) {}

    public AckGroup {
        if (acks.isEmpty()) {
            throw new IllegalArgumentException("a group has at least one acknowledgement");
        }
        List<Ack> sorted = new ArrayList<>(acks);
        sorted.sort(Comparator.comparingLong(Ack::offset));
        acks = List.copyOf(sorted);
    }

    static AckGroup renewing(Collection<Long> offsets) {
        return new AckGroup(offsets.stream()
                .map(offset -> new Ack(offset, Acknowledgement.RENEW))
                .toList());
    }

    int size() {
        return acks.size();
    }

    /** Returns what is left of the group when its locks come into doubt. */
    AckGroup afterDoubt() {
        return new AckGroup(acks.stream()
                .map(ack -> new Ack(ack.offset(), ack.type().afterDoubt()))
                .toList());
    }

    /** Returns the two halves of a group of at least two. */
    List<AckGroup> halves() {
        int middle = acks.size() / 2;
        return List.of(new AckGroup(acks.subList(0, middle)), new AckGroup(acks.subList(middle, acks.size())));
    }

    public List<Range> ranges() {
        List<Range> ranges = new ArrayList<>();
        Range open = null;
        for (Ack ack : acks) {
            if (open != null
                    && ack.offset() == open.last() + 1
                    && ack.type().code() == open.type().code()) {
                open = new Range(open.first(), ack.offset(), open.type());
                ranges.set(ranges.size() - 1, open);
            } else {
                open = new Range(ack.offset(), ack.offset(), ack.type());
                ranges.add(open);
            }
        }
        return ranges;
    }
}
