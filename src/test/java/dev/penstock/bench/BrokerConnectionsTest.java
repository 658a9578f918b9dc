package dev.penstock.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BrokerConnectionsTest {
    /** Port 9092 is 2384 in hexadecimal. */
    private static final List<String> TABLE = List.of(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
            "   0: 0100007F:9C40 0100007F:2384 01 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 20 4 30 10 -1",
            "   1: 0100007F:9C41 0100007F:2384 01 00000000:00000000 00:00000000 00000000  1000        0 222 1 0 20 4 30 10 -1",
            "   2: 0100007F:9C42 0100007F:2384 08 00000000:00000000 00:00000000 00000000  1000        0 333 1 0 20 4 30 10 -1",
            "   3: 0100007F:2384 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 444 1 0 20 4 30 10 -1");

    @Test
    void only_open_connections_of_the_process_to_the_port_count() {
        assertThat(BrokerConnections.count(TABLE, 9092, Set.of("111", "333", "444")))
                .isEqualTo(1);
        assertThat(BrokerConnections.count(TABLE, 9092, Set.of("111", "222"))).isEqualTo(2);
        assertThat(BrokerConnections.count(TABLE, 9093, Set.of("111", "222"))).isZero();
    }

    @Test
    void the_connections_of_a_running_process_are_read_from_the_system() throws IOException {
        try (ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
            long pid = ProcessHandle.current().pid();
            int port = server.getLocalPort();

            try (Socket _ = new Socket(server.getInetAddress(), port);
                    Socket _ = new Socket(server.getInetAddress(), port)) {
                assertThat(BrokerConnections.to(pid, port)).isEqualTo(2);
            }
        }
    }
}
