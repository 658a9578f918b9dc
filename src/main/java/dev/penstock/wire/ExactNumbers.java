package dev.penstock.wire;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.util.JsonParserDelegate;
import java.io.IOException;
import java.io.Serial;
import java.math.BigDecimal;
import java.math.BigInteger;

/** Reads numbers that are written again digit for digit: 1.10, 1e400 and -0 stay as they came. */
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
        BigDecimal value = super.getDecimalValue();
        if (!hasToken(JsonToken.VALUE_NUMBER_FLOAT)) {
            return value;
        }
        String text = getText();
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

    /** Decided without writing the number: documents may hold millions of them. */
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
