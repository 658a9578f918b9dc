package dev.penstock.testkit.upstream;

import java.util.List;
import java.util.stream.IntStream;

/** Text that is always the same. */
final class Words {
    private static final List<String> ASCII = List.of(
            " the", " river", " was", " long", ",", " and", " its", " water", " went", " down", " to", " the", " mill",
            " by", " night", ".");
    private static final List<String> UNICODE = List.of(
            " Zürich",
            " 漢字",
            " 🌊",
            " naïve",
            " 👩‍🚀",
            " Ελλάδα",
            " <b>&",
            " \"so\"",
            "\n",
            " שלום",
            " e\u0301",
            " \\",
            " €",
            " \u2028",
            " 🇨🇭",
            "\t");

    private Words() {}

    static List<String> ascii(int count) {
        return cycle(ASCII, count);
    }

    static List<String> unicode(int count) {
        return cycle(UNICODE, count);
    }

    private static List<String> cycle(List<String> words, int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> words.get(i % words.size()))
                .toList();
    }
}
