package dev.penstock.ledger.database;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.ConnectException;
import java.sql.BatchUpdateException;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SqlFailureTest {
    @ParameterizedTest
    @CsvSource({
        // PostgreSQL: data exceptions, constraints, limits
        "22001, DATA",
        "22003, DATA",
        "22008, DATA",
        "22021, DATA",
        "22P02, DATA",
        "22P05, DATA",
        "23502, DATA",
        "23505, DATA",
        "23514, DATA",
        "54000, DATA",
        "54001, DATA",
        "40001, CONFLICT",
        "40P01, CONFLICT",
        // outages
        "08000, AWAY",
        "08001, AWAY",
        "08003, AWAY",
        "08006, AWAY",
        "25006, AWAY",
        "28P01, AWAY",
        "3D000, AWAY",
        "40003, AWAY",
        "42P01, AWAY",
        "53100, AWAY",
        "53200, AWAY",
        "53300, AWAY",
        "55P03, AWAY",
        "57014, AWAY",
        "57P01, AWAY",
        "57P03, AWAY",
        "58030, AWAY",
        "XX000, AWAY",
        "XX001, AWAY",
        "99999, AWAY",
        "2, AWAY"
    })
    void an_sqlstate_says_whether_the_data_are_wrong_or_the_database_is_away(String state, SqlFailure.Kind kind) {
        SqlFailure failure = SqlFailure.of(new SQLException("(1, 'a secret prompt')", state));

        assertThat(failure.kind()).isEqualTo(kind);
        assertThat(failure.words()).contains("SQLSTATE " + state).doesNotContain("secret");
    }

    @ParameterizedTest
    @CsvSource({
        "5, CONFLICT",
        "517, CONFLICT",
        "6, CONFLICT",
        "262, CONFLICT",
        "18, DATA",
        "19, DATA",
        "275, DATA",
        "1299, DATA",
        "20, DATA",
        "25, DATA",
        "1, AWAY",
        "3, AWAY",
        "7, AWAY",
        "8, AWAY",
        "9, AWAY",
        "10, AWAY",
        "266, AWAY",
        "11, AWAY",
        "13, AWAY",
        "14, AWAY",
        "15, AWAY",
        "17, AWAY",
        "21, AWAY",
        "26, AWAY",
        "77, AWAY"
    })
    void a_code_of_sqlite_says_the_same(int code, SqlFailure.Kind kind) {
        SqlFailure failure = SqlFailure.of(new SQLException("(1, 'a secret prompt')", null, code));

        assertThat(failure.kind()).isEqualTo(kind);
        assertThat(failure.words()).doesNotContain("secret");
    }

    @Test
    void a_batch_has_its_failure_behind_it() {
        BatchUpdateException batch = new BatchUpdateException("Batch entry 0 INSERT … 'a secret prompt'", new int[0]);
        batch.setNextException(new SQLException("value too long", "22001"));

        assertThat(SqlFailure.of(batch).kind()).isEqualTo(SqlFailure.Kind.DATA);
        assertThat(SqlFailure.words(new IllegalStateException("a secret prompt", batch)))
                .isEqualTo("the database does not take a value (SQLSTATE 22001)");
    }

    @Test
    void a_failure_without_any_code_is_an_outage() {
        SQLException failure = new SQLException("a secret prompt", new ConnectException("refused"));

        assertThat(SqlFailure.of(failure).kind()).isEqualTo(SqlFailure.Kind.AWAY);
        assertThat(SqlFailure.of(failure).words()).doesNotContain("secret");
        assertThat(SqlFailure.words(new ConnectException("connection refused"))).isEqualTo("connection refused");
    }
}
