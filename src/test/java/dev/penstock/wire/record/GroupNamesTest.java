package dev.penstock.wire.record;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GroupNamesTest {
    @Test
    void without_a_prefix_the_names_are_those_of_the_contract() {
        GroupNames names = new GroupNames("");

        assertThat(names.of("prompt-jobs")).isEqualTo("penstock.prompt-jobs");
        assertThat(names.of("prompt-jobs-deferred")).isEqualTo("penstock.prompt-jobs-deferred");
        assertThat(names.ledger()).isEqualTo("penstock-ledger");
    }

    @Test
    void a_prefix_stands_before_every_name() {
        GroupNames names = new GroupNames("acme.");

        assertThat(names.of("prompt-jobs")).isEqualTo("acme.penstock.prompt-jobs");
        assertThat(names.ledger()).isEqualTo("acme.penstock-ledger");
    }

    @Test
    void the_command_that_changes_the_mode_has_the_names_of_the_installation() {
        List<String> usual = List.of("prompt-jobs-high", "prompt-jobs", "prompt-jobs-low");

        assertThat(MigrateLine.of(
                        "b:1",
                        IntakeMode.SHARE,
                        usual,
                        "prompt-jobs-deferred",
                        "penstock-settings",
                        new GroupNames("")))
                .isEqualTo("penstock intake migrate --kafka b:1 --to share");
        assertThat(MigrateLine.of(
                        "b:1", IntakeMode.CLASSIC, List.of("a", "b"), "later", "own", new GroupNames("acme.")))
                .isEqualTo(
                        "penstock intake migrate --kafka b:1 --to classic --topic a,b --deferred-topic later --settings-topic own --groups-prefix acme.");
    }

    @ParameterizedTest
    @ValueSource(strings = {"a b", "a/b", "ä", "a,b", "\"", "a\n"})
    void other_characters_are_refused(String prefix) {
        assertThatThrownBy(() -> new GroupNames(prefix)).hasMessageContaining(GroupNames.RULE);
    }

    @Test
    void a_long_one_is_refused() {
        assertThat(GroupNames.isValid("a".repeat(100))).isTrue();
        assertThat(GroupNames.isValid("a".repeat(101))).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "acme., penstock.prompt-jobs, true",
        "acme., other.penstock.prompt-jobs, true",
        "'', acme.penstock.prompt-jobs, true",
        "acme., acme.penstock.prompt-jobs, false",
        "acme., acme.penstock.prompt-jobs-low, false",
        "acme., penstock.my-prompt-jobs, false",
        "acme., some-consumer, false"
    })
    void the_group_of_another_prefix_is_known(String prefix, String group, boolean others) {
        assertThat(new GroupNames(prefix).isOthers(group, "prompt-jobs")).isEqualTo(others);
    }
}
