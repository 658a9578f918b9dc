package dev.penstock.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** When direct calls start, and which are refused; {@link Script} says how the tables are read. */
class CallsTest {
    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            a call starts at once                         | | node a 1 llama; call 1 llama                                  | 1@a
            it needs none of the replica's slots          | slots=1 | node a 4 llama; join 1 llama; join 2 llama; call 3 llama; call 4 llama | 1@a 3@a 4@a
            and gives none back                           | slots=1 | node a 4 llama; join 1 llama; call 2 llama; done 2; join 3 llama; done 1 | 1@a 2@a 3@a
            a paused topic is not its own                 | | node a 1 llama; pause t; call 1 llama                          | 1@a
            one node has a call, another a job            | | node a 1 llama; node b 1 phi; join 1 llama; call 2 phi        | 1@a 2@b
            a call whose attempt failed keeps its turn    | | node a 1 llama; call 1 llama; call 2 llama; failed 1; call 1 llama after=a@0s | 1@a 2@a
            a node that fetches the model                 | | fetcher a 1 phi; call 1 llama; node a 1 llama                  | fetch:a:llama 1@a
            among calls the priority counts               | | node a 1 llama; full a; call 1 llama low; call 2 llama; call 3 llama high; node a 3 llama | 3@a 2@a 1@a
            and then the deadline and the turn            | | node a 1 llama; full a; call 1 llama; call 2 llama; call 3 llama due=9s; node a 3 llama | 3@a 1@a 2@a
            """)
    void starts(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            a slot of four is kept for calls              | | node a 4 llama; full a; join 1 llama; join 2 llama; join 3 llama; join 4 llama; call 5 llama; node a 4 llama | 5@a 1@a 2@a 3@a
            whatever the priority of the jobs             | | node a 4 llama; full a; join 1 llama high; call 5 llama low; node a 4 llama | 5@a 1@a
            and three of four are for the jobs            | | node a 4 llama; full a; call 1 llama high; call 2 llama high; join 5 llama low; join 6 llama low; join 7 llama low; join 8 llama low; node a 4 llama | 1@a 5@a 6@a 7@a
            a freed slot goes to a call below its share   | | node a 4 llama; join 1 llama; join 2 llama; join 3 llama; join 4 llama; join 5 llama; call 6 llama; done 2 | 1@a 2@a 3@a 4@a 6@a
            and to a job above it                         | | node a 4 llama; join 1 llama; join 2 llama; join 3 llama; call 4 llama; join 5 llama; call 6 llama; done 2 | 1@a 2@a 3@a 4@a 5@a
            a call that ends leaves its slot to a call    | | node a 4 llama; join 1 llama; join 2 llama; join 3 llama; call 4 llama; join 5 llama; call 6 llama; done 4 | 1@a 2@a 3@a 4@a 6@a
            a part of a slot counts as one                | share=0.26 | node a 4 llama; full a; join 1 llama; join 2 llama; join 3 llama; call 5 llama; call 6 llama; call 7 llama; node a 4 llama | 5@a 6@a 1@a 2@a
            while no job waits calls take all slots       | | node a 4 llama; call 1 llama; call 2 llama; call 3 llama; call 4 llama; call 5 llama; done 1 | 1@a 2@a 3@a 4@a 5@a
            while no call waits jobs take all slots       | | node a 4 llama; join 1 llama; join 2 llama; join 3 llama; join 4 llama; join 5 llama; done 1 | 1@a 2@a 3@a 4@a 5@a
            a job that cannot start leaves its slots      | slots=1 | node a 4 llama; full a; join 1 llama; join 2 llama; call 5 llama; call 6 llama; call 7 llama; node a 4 llama | 5@a 1@a 6@a 7@a
            a job for another node leaves its slots       | | node a 4 llama; full a; node b 1 phi; full b; join 1 phi; call 5 llama; call 6 llama; node a 4 llama | 5@a 6@a
            one slot of two is for the jobs at least      | share=1 | node a 2 llama; full a; join 1 llama; join 2 llama; call 5 llama; call 6 llama; node a 2 llama | 5@a 1@a
            without a share jobs go first                 | share=0 | node a 2 llama; full a; join 1 llama; join 2 llama; join 3 llama; call 5 llama; node a 2 llama; done 1; done 2; done 3 | 1@a 2@a 3@a 5@a
            each node has its own share                   | | node a 1 llama; node b 1 phi; join 8 llama; call 9 phi; join 1 llama; call 2 llama; join 3 phi; call 4 phi; done 8; done 9 | 8@a 9@b 2@a 3@b
            a job takes the node that is not the call's   | | node a 2 llama; full a; node b/cpu 1 llama; full b; join 1 llama; call 2 llama useless=b; node a 1 llama; node b/cpu 1 llama | 2@a 1@b
            """)
    void share(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            a call goes after a job                       | | node a 1 llama; join 1 llama; join 2 llama; call 3 llama; done 1 | 1@a 3@a
            and a job after a call                        | | node a 1 llama; call 1 llama; call 2 llama; join 3 llama low; done 1 | 1@a 3@a
            they take turns                               | | node a 1 llama; join 1 llama; join 2 llama; join 3 llama; call 6 llama; call 7 llama; call 8 llama; done 1; done 6; done 2; done 7; done 3 | 1@a 6@a 2@a 7@a 3@a 8@a
            what is alone does not wait for the other     | | node a 1 llama; call 1 llama; call 2 llama; done 1; call 3 llama; done 2 | 1@a 2@a 3@a
            """)
    void one_slot(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            no node that is up                            | | node a 1 llama; down a; call 1 llama                           | 1:no_node
            also where another one is                     | | node a 1 llama; node b 1 phi; down a; call 1 llama             | 1:no_node
            none that is configured                       | | call 1 llama                                                   | 1:no_node
            a node that loads is not up                   | | node a 1 llama; loading a; call 1 llama                        | 1:no_node
            one node is enough                            | | node a 1 llama; node b 1 llama; full b; down a; call 1 llama   |
            one that goes down while the call waits       | | node a 1 llama; full a; call 1 llama; join 2 llama; down a     | 1:no_node
            one that was never up                         | | node a 1 phi; never b 1; call 1 llama                          | 1:no_node
            one that is useless to the call               | | node a 1 llama; node b 1 llama; full a; down b; call 1 llama useless=a | 1:no_node
            one that must wait for its next try is enough | | node a 1 llama; call 1 llama after=a@1s; pass 1s               | 1@a
            a model that no node has                      | | node a 1 phi; call 1 llama                                     | 1:model_not_found
            as many wait as may wait                      | calls=2 | node a 1 llama; full a; call 1 llama; call 2 llama; call 3 llama; pass 1s | 3:rate_limited
            the next one waits again                      | calls=1 | node a 1 llama; call 1 llama; call 2 llama; call 3 llama; done 1; call 4 llama | 1@a 3:rate_limited 2@a
            none waits                                    | calls=0 | node a 1 llama; call 1 llama; call 2 llama              | 1@a 2:rate_limited
            one that can start does not wait              | calls=1 | node a 1 llama; full a; node b 1 phi; call 1 llama; call 2 phi; call 3 phi | 2@b 3:rate_limited
            jobs do not count                             | calls=1 | node a 1 llama; full a; join 1 llama; join 2 llama; call 3 llama |
            a further attempt is never too many           | calls=1 | node a 1 llama; call 1 llama; call 2 llama; failed 1; call 1 llama after=a@9s; call 3 llama; done 2 | 1@a 2@a 3:rate_limited
            a wait ends in time                           | | node a 1 llama; full a; call 1 llama end=2s; pass 1999ms; pass 1ms | 1:late
            it is never deferred                          | park=1s | node a 1 llama; full a; node b 1 phi; call 1 llama; call 2 llama; join 3 llama; join 4 llama; pass 300ms; pass 60s | 4:full
            """)
    void refusals(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            calls in flight                               | x:most=1 | node a 4 llama; call 1 llama tenant=x; call 2 llama tenant=x; call 3 llama tenant=y; done 1; call 4 llama tenant=x | 1@a 2:rate_limited 3@a 4@a
            jobs count too, and jobs wait for calls       | x:most=2 | node a 4 llama; join 1 llama tenant=x; call 2 llama tenant=x; call 3 llama tenant=x; join 4 llama tenant=x; done 2 | 1@a 2@a 3:rate_limited 4@a
            calls in a minute                             | x:requests=1 | node a 4 llama; call 1 llama tenant=x; done 1; call 2 llama tenant=x; pass 61s; call 3 llama tenant=x | 1@a 2:rate_limited 3@a
            tokens in a minute                            | x:tokens=300 | node a 4 llama; call 1 llama tenant=x chars=800; call 2 llama tenant=x; used 1 200 100; done 1; call 3 llama tenant=x | 1@a 2:rate_limited 3:rate_limited
            a further attempt is not refused              | x:most=1 | node a 4 llama; call 1 llama tenant=x; failed 1; call 1 llama tenant=x after=a@1s; pass 1s | 1@a 1@a
            those that wait count                         | x:most=2 | node a 1 llama; full a; call 1 llama tenant=x; call 2 llama tenant=x; call 3 llama tenant=x; call 4 llama tenant=y | 3:rate_limited
            jobs may take the rest before a call starts   | x:most=1 | node a 1 llama; full a; node b 1 phi; call 1 llama tenant=x; join 2 phi tenant=x | 2@b 1:rate_limited
            """)
    void tenantLimits(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(delimiter = '|', textBlock = """
            jobs for the model in memory pass a call      | | node a 1 A,B; swaps a; join 1 A; join 2 A; call 3 B; done 1     | 1@a 2@a
            but only for a while                          | | node a 1 A,B; swaps a; join 1 A; join 2 A; join 4 A; call 3 B; done 1; pass 10s; done 2 | 1@a 2@a 3@a!
            and calls pass a job, for a while             | | node a 1 A,B; swaps a; call 1 A; call 2 A; call 4 A; join 3 B; done 1; pass 10s; done 2 | 1@a 2@a 3@a!
            a call with a deadline is not passed          | | node a 1 A,B; swaps a; join 1 A; join 2 A; call 3 B due=9s; done 1 | 1@a 3@a!
            """)
    void groups(String name, String settings, String events, String decisions) {
        check(settings, events, decisions);
    }

    private static void check(String settings, String events, String decisions) {
        assertThat(Script.play(settings == null ? "" : settings, events)).isEqualTo(decisions == null ? "" : decisions);
    }
}
