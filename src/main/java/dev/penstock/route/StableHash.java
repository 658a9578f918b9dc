package dev.penstock.route;

/**
 * A hash of 64 bits that is the same in every replica and in every version. Texts that differ little have hashes that
 * differ much.
 */
public final class StableHash {
    private static final long START = 0xcbf29ce484222325L;

    private long hash = START;

    /** Returns the hash of one text. */
    public static long of(String text) {
        StableHash all = new StableHash();
        all.add(text, text.length());
        return all.value();
    }

    /** Returns a hash of two hashes. */
    public static long of(long one, long other) {
        return mix(one ^ mix(other));
    }

    /** Adds the first characters of a text. */
    public void add(String text, int chars) {
        for (int i = 0; i < chars; i++) {
            add(text.charAt(i));
        }
    }

    public void add(char each) {
        hash = (hash ^ each) * 0x100000001b3L;
    }

    /** Returns the hash of all that was added. */
    public long value() {
        return mix(hash);
    }

    private static long mix(long bits) {
        long mixed = (bits ^ (bits >>> 33)) * 0xff51afd7ed558ccdL;
        mixed = (mixed ^ (mixed >>> 33)) * 0xc4ceb9fe1a85ec53L;
        return mixed ^ (mixed >>> 33);
    }
}
