package dev.penstock.ledger.database;

import dev.penstock.wire.Reason;
import java.sql.SQLException;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;
import org.sqlite.SQLiteErrorCode;

/**
 * The meaning of a database's refusal. This is the one place that distinguishes a mistake in the data from an outage.
 *
 * @param words a code and the name of a constraint. A driver's message quotes the statement with its values, prompts
 *     and answers among them, so a driver's message is never passed on
 */
public record SqlFailure(Kind kind, String words) {
    public enum Kind {
        /** The database does not take a value, and never will. */
        DATA,
        /** Another transaction was in the way: the same one may succeed now. */
        CONFLICT,
        /** The database cannot be used now. */
        AWAY
    }

    private static final int MOST_CAUSES = 20;

    /** Data exception, integrity constraint violation, program limit exceeded. */
    private static final Set<String> DATA_CLASSES = Set.of("22", "23", "54");

    /** serialization_failure and deadlock_detected. */
    private static final Set<String> CONFLICTS = Set.of("40001", "40P01");

    private static final Set<SQLiteErrorCode> SQLITE_DATA = Set.of(
            SQLiteErrorCode.SQLITE_TOOBIG,
            SQLiteErrorCode.SQLITE_CONSTRAINT,
            SQLiteErrorCode.SQLITE_MISMATCH,
            SQLiteErrorCode.SQLITE_RANGE);

    private static final Set<SQLiteErrorCode> SQLITE_CONFLICTS =
            Set.of(SQLiteErrorCode.SQLITE_BUSY, SQLiteErrorCode.SQLITE_LOCKED);

    /** By the class of an SQLSTATE, its first two characters. */
    private static final Map<String, String> CLASSES = Map.ofEntries(
            Map.entry("08", "there is no connection to the database"),
            Map.entry("22", "the database does not take a value"),
            Map.entry("23", "a value violates a constraint"),
            Map.entry("25", "the database takes no writes now"),
            Map.entry("28", "the database refuses the user or the password"),
            Map.entry("3D", "there is no such database"),
            Map.entry("40", "another transaction was in the way"),
            Map.entry("42", "a table, a column or a right is missing"),
            Map.entry("53", "the database is out of disk space, memory or connections"),
            Map.entry("54", "a value is larger than the database takes"),
            Map.entry("55", "the database is not ready for this"),
            Map.entry("57", "the database shuts down, or ended the statement"),
            Map.entry("58", "the database's system has a failure"),
            Map.entry("XX", "the database has an internal failure"));

    /** The failure of a statement, a batch, or of getting a connection. */
    public static SqlFailure of(SQLException failure) {
        String state = null;
        String constraint = null;
        int code = 0;
        Throwable cause = failure;
        for (int i = 0; cause != null && i < MOST_CAUSES; i++) {
            if (cause instanceof SQLException each) {
                state = state == null ? each.getSQLState() : state;
                code = code == 0 ? each.getErrorCode() : code;
                constraint = constraint == null ? constraint(each) : constraint;
            }
            cause = next(cause);
        }
        return state != null
                ? ofState(state, constraint)
                : code != 0 ? ofCode(code) : new SqlFailure(Kind.AWAY, "the database gives no connection");
    }

    /** The reason of a failure, in words that contain nothing of the values. */
    public static String words(Throwable failure) {
        Throwable cause = failure;
        for (int i = 0; cause != null && i < MOST_CAUSES; i++) {
            if (cause instanceof SQLException refused) {
                return of(refused).words();
            }
            if (cause instanceof LedgerDatabase.Unavailable known) {
                return known.why();
            }
            cause = cause.getCause();
        }
        return Reason.of(failure);
    }

    /** A batch has its first failure behind it, others their cause. */
    private static @Nullable Throwable next(Throwable failure) {
        return failure instanceof SQLException each && each.getNextException() != null
                ? each.getNextException()
                : failure.getCause();
    }

    private static @Nullable String constraint(SQLException failure) {
        ServerErrorMessage reported =
                failure instanceof PSQLException postgresql ? postgresql.getServerErrorMessage() : null;
        return reported == null ? null : reported.getConstraint();
    }

    private static SqlFailure ofState(String state, @Nullable String constraint) {
        String group = state.length() < 2 ? state : state.substring(0, 2);
        Kind kind = DATA_CLASSES.contains(group) ? Kind.DATA : CONFLICTS.contains(state) ? Kind.CONFLICT : Kind.AWAY;
        String of = constraint == null ? "" : ", constraint " + constraint;
        return new SqlFailure(
                kind, "%s (SQLSTATE %s%s)".formatted(CLASSES.getOrDefault(group, "the database refuses"), state, of));
    }

    /** @param code the code of SQLite, the extended one or the plain one, which is its last byte */
    private static SqlFailure ofCode(int code) {
        SQLiteErrorCode plain = SQLiteErrorCode.getErrorCode(code & 0xFF);
        Kind kind =
                SQLITE_DATA.contains(plain) ? Kind.DATA : SQLITE_CONFLICTS.contains(plain) ? Kind.CONFLICT : Kind.AWAY;
        return new SqlFailure(kind, "%s (%s)".formatted(plain.message, plain.name()));
    }
}
