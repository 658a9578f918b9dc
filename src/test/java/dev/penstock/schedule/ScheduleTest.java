package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which decisions follow from which events; {@link Script} says how the tables are read. */
class ScheduleTest {
    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            a free slot is granted at once                | | node a 1 llama; join 1 llama                                  | 1@a
            the node may come later than the job          | | join 1 llama; node a 1 llama                                  | 1@a
            by turn                                       | | node a 1 llama; full a; join 1 llama; join 2 llama; node a 1 llama; done 1; done 2 | 1@a 2@a
            the turn counts and not when the wait began   | | node a 1 llama; full a; join 2 llama; join 1 llama; node a 1 llama; done 1 | 1@a 2@a
            by priority                                   | | join 1 llama low; join 2 llama; join 3 llama high; node a 3 llama | 3@a 2@a 1@a
            a full node holds up no others                | | node a 1 llama; node b 1 phi; join 1 llama; join 2 llama high; join 3 phi low | 1@a 3@b
            a freed slot goes to the first that can use it | | node a 1 llama; node b 1 phi; join 1 llama; join 2 phi; join 3 phi; join 4 llama; done 1 | 1@a 2@b 4@a
            one that left gets nothing                    | | node a 1 llama; join 1 llama; join 2 llama; join 3 llama; leave 2; done 1 | 1@a 3@a
            a new slot for one of two keys                | | node a 1 llama; full a; node b 1 phi; full b; join 1 llama; join 2 phi; node b 1 phi | 2@b
            a node that comes up                          | | node a 1 llama; down a; join 1 llama; up a                    | 1@a
            a node that loads takes nothing               | | node a 1 llama; loading a; join 1 llama                       |
            several slots at once                         | | node a 2 llama; full a; join 1 llama; join 2 llama; join 3 llama; node a 2 llama | 1@a 2@a
            a node that refuses is not asked again before it says so | | node a 2 llama; refuses a; join 1 llama; join 2 llama; node a 2 llama | 1@a 2@a
            where one refuses the other is asked          | | node a 1 llama; node b 1 llama; refuses a; join 1 llama       | 1@b
            """)
    void order(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            the least loaded node of a pool               | | node a 2 llama; node b 4 llama; join 1 llama; join 2 llama; join 3 llama; join 4 llama | 1@a 2@b 3@b 4@a
            gpu before cpu                                | | node a/cpu 1 llama; node b/gpu 1 llama; join 1 llama; join 2 llama | 1@b 2@a
            a cloud node is only for what pins it         | | node a/cloud 1 llama; join 1 llama                             | 1:never
            a model that no node lists                    | | node a 1 phi; join 1 llama                                     | 1:never
            it may turn up while a node was never reached | | node a 1 phi; never b 1; join 1 llama; node b 1 llama          | 1@b
            a model that no node lists any more           | | node a 1 llama; full a; join 1 llama; node a 1 phi             | 1:never
            it is unservable only when it could start     | slots=1 | node a 1 phi; join 1 phi; join 2 llama; done 1         | 1@a 2:never
            a node that fetches the model                 | | fetcher a 1 phi; join 1 llama; node a 1 llama                  | fetch:a:llama 1@a
            one that is down does not fetch               | | fetcher a 1 phi; down a; join 1 llama; up a                    | fetch:a:llama
            all that wait for a model ask for it once an event | | fetcher a 1 phi; down a; join 1 llama; join 2 llama high; up a | fetch:a:llama
            a failed node comes after the others          | | node a 1 llama; node b 1 llama; full b; join 1 llama after=a@0s | 1@a
            another pool comes before a failed node       | | node a 1 llama; node b/cpu 1 llama; join 1 llama after=a@0s    | 1@b
            a failed node is not asked before its time    | | node a 1 llama; join 1 llama after=a@500ms; pass 499ms; join 2 phi; leave 1 | 2:never
            and then it is, without any other event       | | node a 1 llama; join 1 llama after=a@500ms; pass 500ms         | 1@a
            two failed nodes each at its time             | | node a 1 llama; node b 1 llama; full b; join 1 llama after=b@1s,a@2s; pass 1s; pass 999ms; pass 1ms | 1@a
            a useless node is never asked                 | | node a 1 llama; join 1 llama useless=a; pass 60s               |
            useless and failed is useless                 | | node a 1 llama; join 1 llama useless=a after=a@1s; pass 2s     |
            one that avoids the node lets the next one go | | node a 1 llama; join 1 llama useless=a; join 2 llama           | 2@a
            """)
    void placement(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            the replica's slots                           | slots=1 | node a 2 llama; join 1 llama; join 2 llama; done 1    | 1@a 2@a
            a run keeps its slot over its attempts        | slots=1 | node a 2 llama; join 1 llama; join 2 llama; failed 1; join 1 llama after=a@0s | 1@a 1@a
            it is given back with the run                 | slots=1 | node a 2 llama; join 1 llama; join 2 llama; failed 1; join 1 llama after=a@1s; leave 1; done 1 | 1@a 2@a
            a run that has a slot needs none              | slots=1 | node a 1 llama; join 1 llama; failed 1; join 2 llama; join 1 llama after=a@1s; pass 1s | 1@a 1@a
            the slots of a topic                          | t=1     | node a 4 llama; join 1 llama topic=t; join 2 llama topic=t; join 3 llama; done 1 | 1@a 3@a 2@a
            another topic's jobs pass                     | slots=2 t=1 | node a 4 llama; join 1 llama topic=t; join 2 llama topic=t high; join 3 llama low | 1@a 3@a
            a topic without a limit has all               | slots=2 t=1 | node a 4 llama; join 1 llama topic=u; join 2 llama topic=u; join 3 llama topic=u | 1@a 2@a
            """)
    void slots(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            a job of a paused topic does not start        | | node a 2 llama; pause t; join 1 llama topic=t; join 2 llama   | 2@a
            it starts when the topic is resumed           | | node a 2 llama; pause t; join 1 llama topic=t; pass 1s; resume t | 1@a
            it is deferred after a while                  | | node a 1 llama; pause t; join 1 llama topic=t; pass 4999ms; pass 1ms | 1:paused
            the longest wait first, each at its time      | | node a 1 llama; pause t; join 1 llama topic=t; pass 2s; join 2 llama topic=t; pass 3s; pass 2s | 1:paused 2:paused
            the pause may come later than the job         | | node a 1 llama; full a; join 1 llama topic=t; pass 9s; pause t; pass 4999ms; pass 1ms | 1:paused
            a run that has started goes on                | | node a 2 llama; join 1 llama topic=t; failed 1; pause t; join 1 llama topic=t after=a@1s; pass 1s | 1@a 1@a
            and is not deferred                           | | node a 1 llama; join 1 llama topic=t; failed 1; down a; pause t; join 1 llama topic=t; pass 60s | 1@a
            jobs of other topics go on                    | | node a 1 llama; pause t; join 1 llama topic=t high; join 2 llama topic=u low | 2@a
            also on deferred records                      | | node a 1 llama; pause t; join 1 llama topic=t copy; pass 5s    | 1:paused
            one whose time ends soon waits to its end     | | node a 1 llama; pause t; join 1 llama topic=t copy end=6s; pass 5s; pass 1s | 1:late
            no model is fetched for it                    | | fetcher a 1 phi; pause t; join 1 llama topic=t                 |
            """)
    void pauses(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            no share: low ones wait                       | low=0   slots=1 | node a 1 llama; join 9 llama; join 1 llama low; join 2 llama; join 3 llama; join 4 llama; done 9; done 2; done 3; done 4 | 9@a 2@a 3@a 4@a 1@a
            a half: every other start                     | low=0.5 slots=1 | node a 1 llama; join 9 llama; join 1 llama low; join 2 llama low; join 3 llama; join 4 llama; join 5 llama; done 9; done 3; done 1; done 4 | 9@a 3@a 1@a 4@a 2@a
            a third                                       | low=0.34 slots=1 | node a 1 llama; join 9 llama; join 1 llama low; join 2 llama; join 3 llama; join 4 llama; join 5 llama; done 9; done 2; done 3 | 9@a 2@a 3@a 1@a
            also where many slots come at once            | low=0.5 | join 1 llama low; join 2 llama low; join 3 llama high; join 4 llama high; node a 4 llama | 3@a 1@a 4@a 2@a
            what starts while no low one waits earns nothing | low=0.5 slots=1 | node a 1 llama; join 2 llama; done 2; join 3 llama; done 3; join 8 llama; join 1 llama low; join 4 llama; done 8 | 2@a 3@a 8@a 4@a
            no low one that cannot go is waited for       | low=0.5 slots=1 | node a 1 llama; join 9 llama; join 1 llama low useless=a; join 2 llama; join 3 llama; done 9; done 2 | 9@a 2@a 3@a
            a second attempt is no start                  | low=0.5 slots=2 | node a 1 llama; join 1 llama; join 2 llama low; failed 1; done 2 ; join 1 llama after=a@0s | 1@a 2@a 1@a
            """)
    void shareOfLowOnes(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            nodes down for long while others are up       | | node a 1 llama; node b 1 phi; down a; join 1 llama; pass 4999ms; pass 1ms | 1:down
            since the last of them went down              | | node a 1 llama; node b 1 llama; node c 1 phi; down a; pass 3s; down b; join 1 llama; pass 4999ms; pass 1ms | 1:down
            a job that comes when they have been down     | | node a 1 llama; node b 1 phi; down a; pass 5s; join 1 llama     | 1:down
            not while no node is up at all                | | node a 1 llama; node b 1 phi; down a; down b; join 1 llama; pass 60s |
            but as soon as another one is up              | | node a 1 llama; node b 1 phi; down a; down b; join 1 llama; pass 60s; up b | 1:down
            not while one loads                           | | node a 1 llama; node b 1 phi; loading a; join 1 llama; pass 60s |
            not when they come up again in time           | | node a 1 llama; node b 1 phi; full a; join 1 llama; down a; pass 3s; up a; down a; pass 3s |
            all of a key at once and no others            | | node a 1 llama; node b 1 phi; full b; down a; join 1 llama; join 2 phi; join 3 llama low; pass 5s | 1:down 3:down
            also one with a slot                          | | node a 1 llama; node b 1 phi; join 1 llama; failed 1; down a; join 1 llama after=a@0s; pass 5s | 1@a 1:down
            a model that was never listed, each in its time | | node a 1 phi; full a; never b 1; join 1 llama; pass 3s; join 2 llama; pass 2s; pass 3s | 1:down 2:down
            a copy with no time to come back stays        | park=1s | node a 1 llama; node b 1 phi; down a; join 1 llama copy end=6s; join 2 llama copy end=7s; join 3 llama end=6s; pass 1s; pass 5s | 2:down 3:down 1:late
            it goes when its node is up again             | park=1s | node a 1 llama; node b 1 phi; down a; join 1 llama copy end=6s; pass 1s; up a | 1@a
            """)
    void outages(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            one too many while another node is idle       | | node a 1 llama; full a; node b 1 phi; join 1 llama; join 2 llama; pass 299ms; pass 1ms | 2:full
            the last of them by turn                      | slots=16 | node a 1 llama; full a; node b 1 phi; join 3 llama; join 1 llama; join 2 llama; pass 300ms | 3:full
            low ones first                                | slots=16 | node a 1 llama; full a; node b 1 phi; join 1 llama low; join 2 llama; join 3 llama; pass 300ms | 1:full
            not while no node is idle                     | | node a 1 llama; full a; node b 1 phi; full b; join 1 llama; join 2 llama; pass 300ms |
            as soon as one is idle                        | | node a 1 llama; full a; node b 1 phi; full b; join 1 llama; join 2 llama; pass 300ms; node b 1 phi | 2:full
            not before the patience of each               | | node a 1 llama; full a; node b 1 phi; join 1 llama; pass 200ms; join 2 llama; pass 200ms; pass 100ms | 1:full
            copies have more patience                     | | node a 1 llama; full a; node b 1 phi; join 1 llama; join 2 llama copy; pass 300ms; join 3 llama; pass 4699ms; pass 1ms | 1:full 3:full
            one with a slot keeps its place               | slots=8 | node a 1 llama; node b 1 phi; join 1 llama; failed 1; full a; join 1 llama after=a@0s; join 2 llama; pass 300ms; pass 9s | 1@a 2:full
            as many as started lately may wait            | slots=8 | node a 2 llama; node b 1 phi; join 1 llama; join 2 llama; join 3 llama; join 4 llama; pass 300ms | 1@a 2@a
            starts grow old without an event              | slots=8 | node a 2 llama; node b 1 phi; join 1 llama; join 2 llama; join 3 llama; join 4 llama; pass 6001ms | 1@a 2@a 4:full
            where memory is scarce all but one            | slots=64 | node a 1 llama; full a; node b 1 phi; join 1 llama; join 2 llama; join 3 llama; pass 300ms; crowded | 3:full 2:full
            enough slots: more may wait                   | slots=64 | node a 1 llama; full a; node b 1 phi; join 1 llama; join 2 llama; join 3 llama; pass 300ms |
            the fullest first                             | | node a 1 llama,tiny; full a; node b 1 phi; join 1 llama; join 2 llama; join 3 llama; join 4 tiny; join 5 tiny; pass 300ms | 3:full 5:full 2:full
            those of another priority count too           | | node a 1 llama; full a; node b 1 phi; join 1 llama high; join 2 llama low; pass 300ms | 2:full
            not where the replica has no slot             | slots=1 | node a 2 llama; node b 1 phi; join 1 llama; join 2 llama; join 3 llama; pass 300ms | 1@a
            copies of a full topic let others through     | t=1     | node a 4 llama; join 1 llama topic=t; join 2 llama topic=t copy; join 3 llama topic=t; pass 5s | 1@a 2:full
            all of them                                   | t=1     | node a 4 llama; join 1 llama topic=t; join 2 llama topic=t copy; join 3 llama topic=t copy; pass 5s | 1@a 3:full 2:full
            """)
    void pressure(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            a wait ends in time                           | | join 1 llama end=2s; pass 1999ms; pass 1ms                       | 1:late
            each at its own time                          | | join 1 llama end=3s; join 2 llama end=2s; pass 5s                | 2:late 1:late
            the end comes before a slot                   | | node a 1 llama; full a; join 1 llama end=2s; join 2 llama; pass 2s; node a 1 llama | 1:late 2@a
            """)
    void ends(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            the tenant that got the fewest tokens         | slots=1 | node a 1 llama; join 1 llama tenant=x; join 2 llama tenant=x; join 3 llama tenant=y; done 1; done 3 | 1@a 3@a 2@a
            divided by its weight                         | slots=1 x:weight=3 | node a 1 llama; join 1 llama tenant=x; join 2 llama tenant=x; join 3 llama tenant=x; join 8 llama tenant=y; join 9 llama tenant=y; done 1; done 8; done 2 | 1@a 8@a 2@a 3@a
            what was not used is given back               | slots=1 | node a 1 llama; join 1 llama tenant=x; join 2 llama tenant=x; join 3 llama tenant=y; join 4 llama tenant=y; used 1 0 0; done 1; done 2 | 1@a 2@a 3@a
            a long prompt counts at once                  | | node a 2 llama; full a; join 1 llama tenant=x chars=9000; join 2 llama tenant=x; join 3 llama tenant=y; join 4 llama tenant=y; node a 3 llama | 1@a 3@a 4@a
            a priority comes before the tenants           | slots=1 | node a 1 llama; join 1 llama tenant=x; join 2 llama tenant=x high; join 3 llama tenant=y; done 1 | 1@a 2@a
            tenants come before deadlines                 | slots=1 | node a 1 llama; join 1 llama tenant=x; join 2 llama tenant=x due=9s; join 3 llama tenant=y; done 1 | 1@a 3@a
            deadlines count within a tenant               | slots=1 | node a 1 llama; join 1 llama tenant=x; join 2 llama tenant=y; join 3 llama tenant=y due=9s; done 1 | 1@a 3@a
            low ones get their share whatever their tenant | low=0.5 slots=1 | node a 1 llama; join 1 llama tenant=x; join 2 llama low tenant=x; join 3 llama tenant=y; join 4 llama tenant=y; done 1; done 3 | 1@a 3@a 2@a
            a tenant that waits for a full node has no say elsewhere | | node a 1 llama; full a; node b 1 phi; join 1 llama tenant=x; join 2 phi tenant=y; done 2; join 3 phi tenant=y | 2@b 3@b
            jobs of another tenant do not join a group    | | node a 1 A,B; swaps a; join 1 A tenant=x; join 2 B tenant=y; join 3 A tenant=x; done 1; done 2 | 1@a 2@a! 3@a!
            """)
    void tenants(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            jobs in flight                                | x:most=1 | node a 4 llama; join 1 llama tenant=x; join 2 llama tenant=x; join 3 llama tenant=y; done 1 | 1@a 3@a 2@a
            a job in flight counts over its attempts      | x:most=1 | node a 4 llama; join 1 llama tenant=x; join 2 llama tenant=x; failed 1; join 1 llama tenant=x after=a@1s; pass 1s; done 1 | 1@a 1@a 2@a
            jobs in a minute                              | x:requests=1 park=99s | node a 4 llama; join 1 llama tenant=x; join 2 llama tenant=x; done 1; pass 60s; join 3 llama tenant=y; pass 1s | 1@a 3@a 2@a
            tokens in a minute                            | x:tokens=300 park=99s | node a 4 llama; join 1 llama tenant=x chars=800; join 2 llama tenant=x; join 3 llama tenant=x; used 1 200 50; done 1; pass 60s; pass 1s | 1@a 2@a 3@a
            it makes room after a while                   | x:most=1 | node a 4 llama; join 1 llama tenant=x; join 2 llama tenant=x; pass 4999ms; pass 1ms | 1@a 2:limit
            each after its own wait                       | x:most=1 | node a 4 llama; join 1 llama tenant=x; join 2 llama tenant=x; pass 3s; join 3 llama tenant=x; pass 2s; pass 3s | 1@a 2:limit 3:limit
            one that waits for a node makes no room       | x:most=2 | node a 1 llama; join 1 llama tenant=x; join 2 llama tenant=x; pass 60s | 1@a
            it makes room when the limit is reached       | x:most=1 | node a 1 llama; full a; join 1 llama tenant=x; join 2 llama tenant=x; pass 9s; node a 1 llama | 1@a 2:limit
            a further attempt makes no room               | x:most=1 | node a 4 llama; join 1 llama tenant=x; failed 1; full a; join 1 llama tenant=x after=a@0s; pass 60s | 1@a
            a copy with no time to come back stays        | x:most=1 park=1s | node a 4 llama; join 1 llama tenant=x; join 2 llama tenant=x copy end=6s; pass 1s; pass 5s | 1@a 2:late
            a model is not fetched for it                 | x:most=1 | fetcher b 1 phi; node a 4 llama; join 1 llama tenant=x; join 2 tiny tenant=x | 1@a
            """)
    void tenantLimits(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    private static void check(String settings, String events, String decisions) {
        assertThat(Script.play(settings == null ? "" : settings, events)).isEqualTo(decisions == null ? "" : decisions);
    }

    @Test
    void a_prompt_that_is_too_long_for_a_node_waits_for_another_that_is_up() {
        String nodes = "node a 1 A; node b 1 A; context a 1000; context b 9000; ";

        assertThat(Script.play("", nodes + "join 1 A tokens=2000; join 2 A tokens=2000; join 3 A tokens=500; done 1"))
                .isEqualTo("1@b 3@a 2@b");
        assertThat(Script.play("", nodes + "down b; join 1 A tokens=2000"))
                .as("only a is up, and decides itself")
                .isEqualTo("1@a");
        assertThat(Script.play("", nodes + "join 1 A tokens=2000; join 2 A tokens=2000; down b"))
                .isEqualTo("1@b 2@a");
        assertThat(Script.play(
                        "", nodes + "full a; join 1 A tokens=500 useless=b; join 2 A tokens=2000 useless=b; up a"))
                .isEmpty();
    }

    @Test
    void a_waiting_job_leaves_out_a_node_that_turns_out_to_be_too_small() {
        assertThat(Script.play(
                        "",
                        "node a 1 A; node b 1 A; context a 9000; join 8 A useless=b; join 9 A useless=a; join 1 A tokens=2000; "
                                + "context b 1000; done 9; done 8"))
                .isEqualTo("8@a 9@b 1@a");
    }

    @Test
    void a_job_that_drops_turns_is_not_left_waiting_for_a_larger_node_of_another_pool() {
        assertThat(Script.play(
                        "",
                        "node a 1 A; node b/cpu 1 A; context a 1000; context b 9000; "
                                + "join 1 A tokens=2000 drops; join 2 A tokens=2000"))
                .isEqualTo("1@a 2@b");
    }
}
