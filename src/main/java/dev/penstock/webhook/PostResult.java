package dev.penstock.webhook;

/** The result of one post to a webhook. */
sealed interface PostResult {
    /** The receiver took the outcome: it answered with a status from 200 to 299. */
    record Taken() implements PostResult {}

    /** The receiver wants no more posts: it answered 410. */
    record Gone() implements PostResult {}

    /**
     * The receiver did not take the outcome now.
     *
     * @param why the reason, without the path of the receiver's address, which may contain a token
     */
    record Failed(String why) implements PostResult {}

    /** Returns the result of a status. A redirect is a failure, because the signature is for the configured receiver. */
    static PostResult ofStatus(int status) {
        if (status >= 200 && status < 300) {
            return new Taken();
        }
        return status == 410 ? new Gone() : new Failed("the receiver answered " + status);
    }
}
