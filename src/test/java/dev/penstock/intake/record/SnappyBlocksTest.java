package dev.penstock.intake.record;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.xerial.snappy.Snappy;

/** Against what snappy's own library writes. */
class SnappyBlocksTest {
    private static final Random RANDOM = new Random(11);

    @Test
    void every_block_is_read() throws IOException {
        for (int i = 0; i < 200; i++) {
            byte[] value = value(i);
            byte[] packed = Snappy.compress(value);
            byte[] among = new byte[packed.length + 7];
            System.arraycopy(packed, 0, among, 5, packed.length);

            assertThat(SnappyBlocks.size(among, 5, packed.length)).isEqualTo(value.length);
            byte[] read = new byte[value.length + 3];
            assertThat(SnappyBlocks.read(among, 5, packed.length, read, 3)).isEqualTo(value.length);
            assertThat(Arrays.copyOfRange(read, 3, read.length)).isEqualTo(value);
        }
    }

    @Test
    void a_broken_block_is_an_io_exception() throws IOException {
        byte[] value = value(150);
        byte[] packed = Snappy.compress(value);
        for (int i = 0; i < 2000; i++) {
            byte[] broken = packed.clone();
            broken[RANDOM.nextInt(Math.min(broken.length, 200))] = (byte) RANDOM.nextInt();
            byte[] cut = i % 2 == 0 ? broken : Arrays.copyOf(broken, RANDOM.nextInt(broken.length));
            try {
                SnappyBlocks.read(cut, 0, cut.length, new byte[value.length], 0);
            } catch (IOException e) {
                assertThat(e).isNotNull();
            }
        }
        assertThatThrownBy(() -> SnappyBlocks.read(packed, 0, packed.length / 2, new byte[value.length], 0))
                .isInstanceOf(IOException.class);
        assertThatThrownBy(() -> SnappyBlocks.read(packed, 0, packed.length, new byte[value.length - 1], 0))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(value.length + " bytes");
    }

    /** Up to 200 kB; every second one repeats itself at distances up to 64 kB. */
    private static byte[] value(int i) {
        byte[] value = new byte[i * 1000];
        RANDOM.nextBytes(value);
        for (int at = 70_000; i % 2 == 0 && at + 500 < value.length; at += 1000) {
            System.arraycopy(value, at - 1 - RANDOM.nextInt(65_000), value, at, 500);
        }
        return value;
    }
}
