package dev.penstock.job;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The place of a job's record. */
public record RecordPlace(String topic, int partition, long offset) {
    private static final Pattern PATH = Pattern.compile("([^/]+)/(\\d{1,9})/(\\d{1,18})");

    /** Returns the place in the form that headers carry: topic/partition/offset. */
    public String path() {
        return topic + "/" + partition + "/" + offset;
    }

    public static Optional<RecordPlace> ofPath(String path) {
        Matcher parts = PATH.matcher(path);
        return parts.matches()
                ? Optional.of(new RecordPlace(
                        parts.group(1), Integer.parseInt(parts.group(2)), Long.parseLong(parts.group(3))))
                : Optional.empty();
    }

    /** Returns this place with the topic's new name, if its topic was renamed. */
    public RecordPlace ofTopic(String before, String after) {
        return topic.equals(before) ? new RecordPlace(after, partition, offset) : this;
    }

    @Override
    public String toString() {
        return topic + "-" + partition + "@" + offset;
    }
}
