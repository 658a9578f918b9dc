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
 * The reason why the database refused a statement. Only this class distinguishes a mistake in the data from an outage.
 *
 * @param words a code, and the name of a constraint if there is one. They never contain a driver's message, because it
 *     quotes the statement with its values, which may be prompts and answers
 */
public record SqlFailure(Kind kind, String words) {
    public enum Kind {
        /** The database refuses a value, and will always refuse it. */
        DATA,
        /** The transaction conflicted with another one. A repetition may succeed. */
        CONFLICT,
        /** The database cannot be used now. */
        AWAY
    }

    private static final int MOST_CAUSES = 20;

    /** The SQLSTATE classes of data exceptions, violated constraints and exceeded limits. */
    private static final Set<String> DATA_CLASSES = Set.of("22", "23", "54");

    /** The SQLSTATEs serialization_failure and deadlock_detected. */
    private static final Set<String> CONFLICTS = Set.of("40001", "40P01");

    private static final Set<SQLiteErrorCode> SQLITE_DATA = Set.of(
            SQLiteErrorCode.SQLITE_TOOBIG,
            SQLiteErrorCode.SQLITE_CONSTRAINT,
            SQLiteErrorCode.SQLITE_MISMATCH,
            SQLiteErrorCode.SQLITE_RANGE);

    private static final Set<SQLiteErrorCode> SQLITE_CONFLICTS =
            Set.of(SQLiteErrorCode.SQLITE_BUSY, SQLiteErrorCode.SQLITE_LOCKED);

    /** The meaning of each class of SQLSTATEs. The class is the first two characters. */
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

    /** Returns the reason why a statement, a batch or a request for a connection failed. */
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

    /** Returns the reason of a failure in words. They contain no values. */
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

    /**
     * Returns the next exception of the chain. Exceptions of a batch are chained by getNextException, others by their
     * cause.
     */
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

    /** @param code SQLite's primary code, or an extended code, whose last byte is the primary code */
    private static SqlFailure ofCode(int code) {
        SQLiteErrorCode plain = SQLiteErrorCode.getErrorCode(code & 0xFF);
        Kind kind =
                SQLITE_DATA.contains(plain) ? Kind.DATA : SQLITE_CONFLICTS.contains(plain) ? Kind.CONFLICT : Kind.AWAY;
        return new SqlFailure(kind, "%s (%s)".formatted(plain.message, plain.name()));
    }
}
