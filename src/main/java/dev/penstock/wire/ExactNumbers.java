package dev.penstock.wire;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import com.fasterxml.jackson.core.util.JsonParserDelegate;
import java.io.IOException;
import java.io.Serial;
import java.math.BigDecimal;
import java.math.BigInteger;

/**
 * Reads numbers in such a way that they are written with the same digits again: 1.10, 1e400 and -0 stay as they are. If
 * an exponent is too large for arithmetic, the number is refused before it is created.
 */
final class ExactNumbers extends JsonParserDelegate {
    private static final String NEGATIVE_ZERO = "-0";
    /** Below this exponent, {@link BigDecimal#toString} changes to the scientific form. */
    private static final int LEAST_PLAIN_EXPONENT = -6;

    ExactNumbers(JsonParser parser) {
        super(parser);
    }

    @Override
    public NumberType getNumberType() throws IOException {
        if (hasToken(JsonToken.VALUE_NUMBER_FLOAT)) {
            return NumberType.BIG_DECIMAL;
        }
        return isNegativeZero() ? NumberType.BIG_INTEGER : super.getNumberType();
    }

    @Override
    public NumberTypeFP getNumberTypeFP() throws IOException {
        return hasToken(JsonToken.VALUE_NUMBER_FLOAT) ? NumberTypeFP.BIG_DECIMAL : super.getNumberTypeFP();
    }

    @Override
    public BigDecimal getDecimalValue() throws IOException {
        if (!hasToken(JsonToken.VALUE_NUMBER_FLOAT)) {
            return super.getDecimalValue();
        }
        String text = getText();
        if (isExponentTooLarge(text)) {
            throw new StreamConstraintsException(JsonMistake.EXPONENT, currentLocation());
        }
        BigDecimal value = super.getDecimalValue();
        return isWrittenAs(value, text) ? value : new WrittenDecimal(text);
    }

    @Override
    public BigInteger getBigIntegerValue() throws IOException {
        return isNegativeZero() ? new WrittenNegativeZero() : super.getBigIntegerValue();
    }

    private boolean isNegativeZero() throws IOException {
        return hasToken(JsonToken.VALUE_NUMBER_INT)
                && getTextLength() == 2
                && getText().equals(NEGATIVE_ZERO);
    }

    private static boolean isExponentTooLarge(String text) {
        int at = Math.max(text.indexOf('e'), text.indexOf('E'));
        int exponent = 0;
        for (int i = at + 1; at >= 0 && i < text.length() && exponent <= Json.MAX_EXPONENT; i++) {
            int digit = Character.digit(text.charAt(i), 10);
            // any character that is not a digit is the sign
            exponent = digit < 0 ? exponent : 10 * exponent + digit;
        }
        return exponent > Json.MAX_EXPONENT;
    }

    /**
     * Returns whether the value would be written as this text. It decides without writing the number, because documents
     * may hold millions of numbers.
     */
    private static boolean isWrittenAs(BigDecimal value, String text) {
        return text.indexOf('e') < 0
                && text.indexOf('E') < 0
                && value.precision() - value.scale() - 1 >= LEAST_PLAIN_EXPONENT
                && !(value.signum() == 0 && text.startsWith("-"));
    }

    private static final class WrittenDecimal extends BigDecimal {
        @Serial
        private static final long serialVersionUID = 1;

        private final String text;

        WrittenDecimal(String text) {
            super(text);
            this.text = text;
        }

        @Override
        public String toString() {
            return text;
        }
    }

    private static final class WrittenNegativeZero extends BigInteger {
        @Serial
        private static final long serialVersionUID = 1;

        WrittenNegativeZero() {
            super("0");
        }

        @Override
        public String toString() {
            return NEGATIVE_ZERO;
        }
    }
}
