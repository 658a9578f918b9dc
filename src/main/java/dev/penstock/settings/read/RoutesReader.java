package dev.penstock.settings.read;

import dev.penstock.settings.Rule;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Reads the routing rules, and reports their mistakes by key. */
final class RoutesReader {
    private static final String KEY = "routes";

    private final Mistakes mistakes;
    private final RuleChecks.Installation installation;

    RoutesReader(Mistakes mistakes, RuleChecks.Installation installation) {
        this.mistakes = mistakes;
        this.installation = installation;
    }

    /** @param value the value of {@code penstock.routes}: a text, or lists and maps of texts */
    List<Rule> read(Optional<Object> value) {
        List<Rule> rules = new ArrayList<>();
        List<?> list = List.of();
        int before = mistakes.lines().size();
        if (value.isPresent() && value.get() instanceof List<?> given) {
            list = given;
        } else if (value.isPresent() && !value.get().equals("")) {
            mistakes.mistake(KEY, "expected a list of rules");
        }
        for (int i = 0; i < list.size(); i++) {
            String key = "%s[%d]".formatted(KEY, i);
            if (list.get(i) instanceof Map<?, ?> fields) {
                rules.add(new RuleReader(key, fields, mistakes).read());
            } else {
                mistakes.mistake(key, "expected the keys of a rule, such as when and to");
            }
        }
        if (mistakes.lines().size() == before) {
            // only then is each rule complete
            new RuleChecks(rules, installation).mistakes(mistakes);
        }
        return rules;
    }
}
