package dev.penstock.intake.record;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import java.io.IOException;

/**
 * Replaces the functions of snappy-java's native library that are necessary to read a snappy record (1.1.10.8, of
 * Kafka's client 4.3.1). In the native executable, the library crashes the process (observed with GraalVM 25, in
 * rawUncompress). The JVM build uses the library.
 */
@TargetClass(className = "org.xerial.snappy.SnappyNative")
final class SnappyInExecutable {
    @Substitute
    public int uncompressedLength(Object block, int offset, int length) throws IOException {
        return SnappyBlocks.size((byte[]) block, offset, length);
    }

    @Substitute
    public int rawUncompress(Object block, int offset, int length, Object to, int toOffset) throws IOException {
        return SnappyBlocks.read((byte[]) block, offset, length, (byte[]) to, toOffset);
    }

    @Substitute
    public void arrayCopy(Object from, int offset, int length, Object to, int toOffset) {
        System.arraycopy(from, offset, to, toOffset, length);
    }

    /** Loads nothing, because no function of the native library is used. */
    @TargetClass(className = "org.xerial.snappy.SnappyLoader")
    static final class Loader {
        @Substitute
        @SuppressWarnings("UnusedMethod") // snappy-java calls it
        private static void loadNativeLibrary() {}
    }
}
