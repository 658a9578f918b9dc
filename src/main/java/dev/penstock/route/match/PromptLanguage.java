package dev.penstock.route.match;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Recognises the language of a text. Most scripts belong to one language. For Latin script, the most frequent words of
 * each language decide.
 */
final class PromptLanguage {
    /** The smallest number of frequent words that decides. */
    private static final int FEWEST_WORDS = 2;

    private static final int LONGEST_WORD = 10;

    private static final Map<String, List<String>> WORDS = Map.of(
            "en",
            List.of(
                    "the", "and", "is", "of", "to", "what", "how", "are", "this", "that", "with", "for", "you", "why",
                    "it", "does", "which", "was", "your", "please"),
            "de",
            List.of(
                    "der", "die", "das", "und", "ist", "nicht", "ein", "eine", "wie", "was", "warum", "für", "mit",
                    "auf", "ich", "sind", "bitte", "dem", "den", "zu", "wird", "kann"),
            "fr",
            List.of(
                    "le",
                    "la",
                    "les",
                    "et",
                    "est",
                    "une",
                    "des",
                    "que",
                    "pour",
                    "dans",
                    "vous",
                    "pas",
                    "comment",
                    "pourquoi",
                    "quel",
                    "quelle",
                    "ce",
                    "du",
                    "avec",
                    "je"),
            "es",
            List.of(
                    "el", "los", "las", "y", "es", "una", "que", "para", "por", "cómo", "qué", "con", "del", "cuál",
                    "está", "como", "son", "por", "un", "se"),
            "it",
            List.of(
                    "il", "gli", "e", "è", "una", "che", "per", "non", "come", "perché", "con", "della", "sono", "di",
                    "cosa", "qual", "questo", "un", "del", "si"),
            "pt",
            List.of(
                    "o", "os", "as", "e", "é", "uma", "que", "para", "não", "como", "por", "com", "do", "da", "qual",
                    "são", "um", "você", "em", "porque"),
            "nl",
            List.of(
                    "de", "het", "een", "en", "is", "van", "niet", "wat", "hoe", "waarom", "voor", "met", "op", "ik",
                    "zijn", "dat", "te", "wordt", "deze", "kan"));

    /** For each frequent word, its languages. */
    private static final Map<String, List<String>> LANGUAGES = languages();

    private PromptLanguage() {}

    private static Map<String, List<String>> languages() {
        Map<String, List<String>> byWord = new HashMap<>();
        WORDS.forEach((language, words) -> words.stream()
                .distinct()
                .forEach(word -> byWord.merge(
                        word,
                        List.of(language),
                        (some, more) -> Stream.concat(some.stream(), more.stream())
                                .sorted()
                                .toList())));
        return Map.copyOf(byWord);
    }

    /** Returns the language as an ISO 639-1 code; null if it is not clear. */
    static @Nullable String of(String text) {
        int latin = 0;
        Map<String, Integer> scripts = new HashMap<>();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < 0x250) {
                latin += Character.isLetter(c) ? 1 : 0;
            } else {
                String script = script(c);
                if (script != null) {
                    scripts.merge(script, 1, Integer::sum);
                }
            }
        }
        int others = scripts.values().stream().mapToInt(Integer::intValue).sum();
        // a letter of a script without spaces stands for several Latin letters
        return others > 0 && others * 2 >= latin ? ofScripts(scripts) : ofWords(text);
    }

    private static @Nullable String script(char c) {
        if (c >= 0x370 && c < 0x400) {
            return "el";
        } else if (c >= 0x400 && c < 0x530) {
            return "іїєґІЇЄҐ".indexOf(c) >= 0 ? "uk" : "ru";
        } else if (c >= 0x590 && c < 0x600) {
            return "he";
        } else if (c >= 0x600 && c < 0x780) {
            return "ar";
        } else if (c >= 0x900 && c < 0x980) {
            return "hi";
        } else if (c >= 0xE00 && c < 0xE80) {
            return "th";
        } else if (c >= 0x3040 && c < 0x3100) {
            return "ja";
        } else if (c >= 0x3400 && c < 0xA000) {
            return "zh";
        } else if (c >= 0xAC00 && c < 0xD7B0) {
            return "ko";
        }
        return null;
    }

    private static @Nullable String ofScripts(Map<String, Integer> scripts) {
        if (scripts.containsKey("ja")) {
            // Japanese also uses Chinese characters, but Chinese uses no kana
            return "ja";
        }
        if (scripts.containsKey("uk")) {
            return "uk";
        }
        return scripts.entrySet().stream()
                .max(Map.Entry.<String, Integer>comparingByValue().thenComparing(Map.Entry.comparingByKey()))
                .map(Map.Entry::getKey)
                .orElse(null);
    }

    private static @Nullable String ofWords(String text) {
        Map<String, Integer> votes = new HashMap<>();
        int start = -1;
        for (int i = 0; i <= text.length(); i++) {
            boolean letter = i < text.length() && Character.isLetter(text.charAt(i));
            if (letter && start < 0) {
                start = i;
            } else if (!letter && start >= 0) {
                if (i - start <= LONGEST_WORD) {
                    LANGUAGES
                            .getOrDefault(text.substring(start, i).toLowerCase(Locale.ROOT), List.of())
                            .forEach(language -> votes.merge(language, 1, Integer::sum));
                }
                start = -1;
            }
        }
        String best = null;
        int most = FEWEST_WORDS - 1;
        boolean tie = false;
        for (Map.Entry<String, Integer> vote : votes.entrySet()) {
            if (vote.getValue() > most) {
                best = vote.getKey();
                most = vote.getValue();
                tie = false;
            } else if (vote.getValue() == most) {
                tie = true;
            }
        }
        return tie ? null : best;
    }
}
