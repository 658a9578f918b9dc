package dev.penstock.settings;

import java.util.List;

/** The languages that the classifier of prompts knows, as ISO 639-1 codes. */
public final class Language {
    public static final List<String> CODES = List.of(
            "ar", "de", "el", "en", "es", "fr", "he", "hi", "it", "ja", "ko", "nl", "pt", "ru", "th", "uk", "zh");

    private Language() {}
}
