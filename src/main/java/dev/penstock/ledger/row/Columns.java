package dev.penstock.ledger.row;

import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import org.jspecify.annotations.Nullable;

/** Reads and writes the values of columns that may be null. */
public final class Columns {
    /**
     * The maximum number of characters in a name. The names in jobs and in the nodes' lists of models are within this
     * limit.
     */
    public static final int LONGEST_NAME = 256;

    private static final int REPLACEMENT = 0xFFFD;

    private Columns() {}

    public static void set(PreparedStatement statement, int index, @Nullable Long value) throws SQLException {
        if (value == null) {
            statement.setNull(index, Types.BIGINT);
        } else {
            statement.setLong(index, value);
        }
    }

    public static void set(PreparedStatement statement, int index, @Nullable Integer value) throws SQLException {
        if (value == null) {
            statement.setNull(index, Types.INTEGER);
        } else {
            statement.setInt(index, value);
        }
    }

    /**
     * Returns a text that every database accepts. PostgreSQL refuses the character 0, and half of a surrogate pair is
     * no character in UTF-8. U+FFFD replaces both.
     */
    static String text(String value) {
        for (int i = 0; i < value.length(); ) {
            int character = value.codePointAt(i);
            if (character == 0 || isSurrogate(character)) {
                return value.codePoints()
                        .map(each -> each == 0 || isSurrogate(each) ? REPLACEMENT : each)
                        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                        .toString();
            }
            i += Character.charCount(character);
        }
        return value;
    }

    private static boolean isSurrogate(int character) {
        return character >= Character.MIN_SURROGATE && character <= Character.MAX_SURROGATE;
    }

    /**
     * Returns a name that an index accepts. An index entry of PostgreSQL has at most 2,704 bytes, and a character has
     * at most three bytes.
     */
    static String name(String value) {
        String text = text(value);
        if (text.length() <= LONGEST_NAME) {
            return text;
        }
        int end = Character.isHighSurrogate(text.charAt(LONGEST_NAME - 1)) ? LONGEST_NAME - 1 : LONGEST_NAME;
        return text.substring(0, end);
    }

    public static void set(PreparedStatement statement, int index, @Nullable String value) throws SQLException {
        if (value == null) {
            statement.setNull(index, Types.VARCHAR);
        } else {
            statement.setString(index, text(value));
        }
    }

    public static @Nullable Long number(ResultSet row, String column) throws SQLException {
        long value = row.getLong(column);
        return row.wasNull() ? null : (Long) value;
    }
}
