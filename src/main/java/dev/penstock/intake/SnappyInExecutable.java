package dev.penstock.intake;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import java.io.IOException;

/**
 * What reading a snappy record takes of snappy-java's native library (1.1.10.8, of Kafka's client 4.3.1), for the native executable:
 * the library took the process down there (seen with GraalVM 25, in rawUncompress). The JVM uses it.
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

    /** Nothing is left to load. */
    @TargetClass(className = "org.xerial.snappy.SnappyLoader")
    static final class Loader {
        @Substitute
        @SuppressWarnings("UnusedMethod") // snappy-java calls it
        private static void loadNativeLibrary() {}
    }
}
