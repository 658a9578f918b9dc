package dev.penstock.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.penstock.job.JobFailure;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ListParametersTest {
    @ParameterizedTest
    @ValueSource(strings = {"\0", "a\0b", "a\nb", "\u0085"})
    void a_name_with_control_characters_is_no_name(String given) {
        assertThatThrownBy(() -> ListParameters.name("model", given))
                .isInstanceOfSatisfying(ApiException.class, refused -> {
                    assertThat(refused.failure().code()).isEqualTo(JobFailure.Code.INVALID_REQUEST);
                    assertThat(refused.failure().param()).isEqualTo("model");
                });
    }

    @Test
    void any_other_name_may_be_asked_for() {
        assertThat(ListParameters.name("model", "llama3.2:3b é")).isEqualTo("llama3.2:3b é");
        assertThat(ListParameters.name("tenant", null)).isNull();
    }
}
