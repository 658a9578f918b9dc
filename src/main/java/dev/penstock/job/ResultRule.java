package dev.penstock.job;

/**
 * The form that the answer of a job must have.
 *
 * @param schema a valid JSON schema, as JSON
 * @param repairs how many times the model is asked again after an answer that does not fit
 * @param trustsNode whether an answer is not checked if its node makes the model follow the schema
 */
public record ResultRule(String schema, int repairs, boolean trustsNode) {
    /** The largest number of repairs. */
    public static final int MOST_REPAIRS = 2;

    public ResultRule {
        if (repairs < 0 || repairs > MOST_REPAIRS) {
            throw new IllegalArgumentException("repairs must be between 0 and " + MOST_REPAIRS);
        }
    }
}
