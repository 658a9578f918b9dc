package dev.penstock.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class OptionsTest {
    @Test
    void without_arguments_two_lanes_measure_both_programs_with_the_own_client() {
        Options options = Options.parse();

        assertThat(options.lanes()).containsExactly("kafka", "streams");
        assertThat(options.variants()).containsExactly(new Variant("jar", "own"), new Variant("native", "own"));
        assertThat(options.warmUp()).isEqualTo(6000);
        assertThat(options.streams()).containsExactly(8, 64, 256, 1000);
        assertThat(options.rounds()).isEmpty();
    }

    @Test
    void each_program_runs_with_each_share_client() {
        Options options = Options.parse(
                "trickle", "--program", "jar", "--share-client", "own,kafka", "--seconds", "7", "--rounds", "2");

        assertThat(options.lanes()).containsExactly("trickle");
        assertThat(options.variants()).containsExactly(new Variant("jar", "own"), new Variant("jar", "kafka"));
        assertThat(options.seconds()).isEqualTo(7);
        assertThat(options.rounds()).hasValue(2);
    }

    @Test
    void a_mistake_is_reported() {
        assertThatThrownBy(() -> Options.parse("--share-client", "both")).hasMessage("'both' is none of [own, kafka]");
        assertThatThrownBy(() -> Options.parse("--program", "exe")).hasMessage("'exe' is none of [jar, native]");
        assertThatThrownBy(() -> Options.parse("--round", "3")).hasMessage("not understood: --round");
    }

    @Test
    void variants_have_no_topic_and_no_group_in_common() {
        Variant own = new Variant("jar", "own");
        Variant kafka = new Variant("jar", "kafka");

        assertThat(own.jobTopics()).isEqualTo(List.of("jar-own-jobs-high", "jar-own-jobs", "jar-own-jobs-low"));
        assertThat(own.group(own.jobs())).isEqualTo("jar-own.penstock.jar-own-jobs");
        assertThat(own.config().values())
                .doesNotContainAnyElementsOf(kafka.config().values());
    }

    @Test
    void the_id_of_a_job_is_read_from_its_document() {
        byte[] document = Work.record("jobs", "burst-7", "a prompt", 1000, Work.Where.EVEN, 0)
                .value();

        assertThat(document).hasSize(1000);
        assertThat(Work.id(document)).isEqualTo("burst-7");
    }
}
