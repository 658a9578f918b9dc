package dev.penstock.ledger.database;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.penstock.job.JobId;
import dev.penstock.job.JobState;
import dev.penstock.job.Priority;
import dev.penstock.testkit.Postgres;
import dev.penstock.wire.Json;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;

/**
 * A ledger of a million jobs ({@code -Dpenstock.test.rows}: another number): every query of the ledger is explained
 * while it runs. Indexes have to serve each query, and it has to touch no more rows than three times its limit.
 */
class QueryPlansIT {
    private static final long ROWS = Long.getLong("penstock.test.rows", 1_000_000);
    private static final long NOW = 1_700_000_000_000L;
    private static final int LIMIT = 20;

    /** @param touched the rows that any node of the plan read, also those that it dropped */
    private record Plan(String sql, List<String> nodes, double touched, double millis) {}

    @FunctionalInterface
    private interface Query {
        void run(Connection connection) throws SQLException;
    }

    @Test
    void every_query_is_served_by_an_index_and_touches_few_rows() throws Exception {
        try (Postgres postgres = Postgres.start("plans")) {
            LedgerDatabase database = TestLedgers.postgres(postgres);
            long begun = System.nanoTime();
            database.write(connection -> {
                fill(connection);
                return null;
            });
            try (Connection connection = postgres.connect();
                    Statement statement = connection.createStatement()) {
                statement.execute("VACUUM ANALYZE jobs");
                System.out.printf("%,d rows in %d s%n", ROWS, (System.nanoTime() - begun) / 1_000_000_000);
                Map<String, Query> queries = new TreeMap<>(queries());
                for (Map.Entry<String, Query> query : queries.entrySet()) {
                    for (Plan plan : explained(connection, query.getValue())) {
                        System.out.printf(
                                "  %-28s %6.2f ms, %5.0f rows: %s%n",
                                query.getKey(), plan.millis(), plan.touched(), String.join(", ", plan.nodes()));
                        assertThat(plan.nodes())
                                .as("%s: %s", query.getKey(), plan.sql())
                                .noneMatch(node -> node.startsWith("Seq Scan"));
                        int limit = query.getKey().startsWith("place")
                                        || query.getKey().startsWith("pace")
                                ? Queries.FARTHEST_PLACE
                                : LIMIT;
                        assertThat(plan.touched())
                                .as("%s: %s", query.getKey(), plan.sql())
                                .isLessThanOrEqualTo(3.0 * limit);
                    }
                }
            }
        }
    }

    private static Map<String, Query> queries() {
        Queries.Filter any = new Queries.Filter(null, null, null);
        Queries.Cursor middle = new Queries.Cursor(NOW - ROWS / 2, "job-x");
        Map<String, Query> queries = new TreeMap<>();
        queries.put("poll", connection -> Queries.findWithOutcome(connection, List.of(new JobId("job-4711"))));
        queries.put("list", connection -> Queries.list(connection, any, null, LIMIT));
        queries.put("list after", connection -> Queries.list(connection, any, middle, LIMIT));
        for (JobState.Status status : JobState.Status.values()) {
            Queries.Filter filter = new Queries.Filter(status, null, null);
            queries.put("list " + status.wireName(), connection -> Queries.list(connection, filter, middle, LIMIT));
        }
        queries.put(
                "list tenant",
                connection -> Queries.list(connection, new Queries.Filter(null, "tenant-3", null), middle, LIMIT));
        queries.put(
                "list model",
                connection -> Queries.list(connection, new Queries.Filter(null, null, "model-3"), middle, LIMIT));
        queries.put(
                "place in line",
                connection -> Queries.placeInLine(connection, Priority.NORMAL, NOW, new JobId("job-1")));
        queries.put("pace", connection -> Queries.finishedSince(connection, NOW - 60_000));
        queries.put("janitor cancelled", connection -> Queries.cancelled(connection, LIMIT));
        queries.put("janitor expired", connection -> Queries.expired(connection, NOW, LIMIT));
        queries.put("janitor overdue", connection -> Queries.overdue(connection, NOW, LIMIT));
        queries.put(
                "audit",
                connection ->
                        Queries.openBetween(connection, new TopicPartition("prompt-jobs", 2), -1, ROWS / 4, LIMIT));
        queries.put(
                "retention",
                connection -> Queries.outlived(
                        connection, dev.penstock.settings.Settings.LedgerKind.SQLITE, NOW - ROWS / 2, LIMIT));
        return queries;
    }

    /**
     * 90 % completed, 2 % each of the others; ten tenants and models; every hundredth open job has a cancel command.
     */
    private static void fill(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("""
                    INSERT INTO jobs (id, reply_partition, created_ms, record_topic, record_partition, record_offset, task,
                        priority, tenant, asked_model, deadline_ms, arrivals, cancel_ms, status, attempt, run,
                        applied_offset, first_offset, started_ms, finished_ms, attempts, run_starts, node, backend, model,
                        outcome_offset, error, usage, outcome, overdue_ms, stub_ms, forgotten)
                    SELECT 'job-' || n, n %% 12, %1$d - n, 'prompt-jobs', n %% 4, n / 4, 'chat', n %% 3,
                        'tenant-' || n %% 10, 'model-' || n %% 10,
                        CASE WHEN n %% 50 = 0 THEN %1$d - n + 1000 END,
                        '{"records":[{"topic":"prompt-jobs","partition":' || n %% 4 || ',"offset":' || n / 4
                            || ',"ms":' || %1$d - n || ',"hash":"h","task":"chat","priority":"normal","tenant":"tenant-'
                            || n %% 10 || '","timeout":600000,"model":"model-' || n %% 10 || '"}]}',
                        CASE WHEN s = 0 AND n %% 100 = 0 THEN %1$d END,
                        (ARRAY['queued','running','failed','cancelled','expired'])[s + 1],
                        CASE WHEN s = 0 THEN -1 ELSE 1 END, CASE WHEN s > 0 THEN 'run' END, n,
                        CASE WHEN s > 0 THEN n END, CASE WHEN s > 0 THEN %1$d - n END,
                        CASE WHEN s > 1 THEN %1$d - n + 500 END, CASE WHEN s > 0 THEN 1 ELSE 0 END,
                        CASE WHEN s > 0 THEN '1' ELSE '' END, 'node', 'vllm', CASE WHEN s > 0 THEN 'model-' || n %% 10 END, n, NULL, NULL, NULL,
                        CASE WHEN s = 1 THEN %1$d - n + 600000 END, NULL::bigint, 0
                    FROM (SELECT n, n %% 50 AS s FROM generate_series(1, %2$d) AS n) AS numbers WHERE s < 5
                    UNION ALL
                    SELECT 'job-' || n, n %% 12, %1$d - n, 'prompt-jobs', n %% 4, n / 4, 'chat', n %% 3,
                        'tenant-' || n %% 10, 'model-' || n %% 10, NULL,
                        '{"records":[{"topic":"prompt-jobs","partition":' || n %% 4 || ',"offset":' || n / 4
                            || ',"ms":' || %1$d - n || ',"hash":"h","task":"chat","priority":"normal","tenant":"tenant-'
                            || n %% 10 || '","timeout":600000,"model":"model-' || n %% 10 || '"}]}',
                        NULL, 'completed', 1, 'run', n, n, %1$d - n, %1$d - n + 500, 1, '1', 'node', 'vllm',
                        'model-' || n %% 10, n, NULL, '{"total_tokens":3}', '{"job":{"seq":2},"choices":[]}', NULL::bigint, NULL::bigint, 0
                    FROM generate_series(1, %2$d) AS n WHERE n %% 50 >= 5
                    """.formatted(NOW, ROWS));
        }
    }

    /** Runs a query; each of its statements is explained first, with the same parameters. */
    private static List<Plan> explained(Connection connection, Query query) throws SQLException {
        List<Plan> plans = new ArrayList<>();
        Connection spying = (Connection) Proxy.newProxyInstance(
                QueryPlansIT.class.getClassLoader(), new Class<?>[] {Connection.class}, (_, method, arguments) -> {
                    if (method.getName().equals("prepareStatement")) {
                        return spying(connection, (String) arguments[0], plans);
                    }
                    return invoke(connection, method, arguments);
                });
        query.run(spying);
        return plans;
    }

    private static PreparedStatement spying(Connection connection, String sql, List<Plan> plans) throws SQLException {
        PreparedStatement real = connection.prepareStatement(sql);
        PreparedStatement explain = connection.prepareStatement("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql);
        return (PreparedStatement) Proxy.newProxyInstance(
                QueryPlansIT.class.getClassLoader(),
                new Class<?>[] {PreparedStatement.class},
                (_, method, arguments) -> {
                    if (method.getName().startsWith("set")) {
                        invoke(explain, method, arguments);
                    } else if (method.getName().equals("executeQuery")) {
                        try (ResultSet plan = explain.executeQuery()) {
                            plan.next();
                            plans.add(plan(sql, Objects.requireNonNull(Json.parseLenient(plan.getString(1)))));
                        }
                    } else if (method.getName().equals("close")) {
                        explain.close();
                    }
                    return invoke(real, method, arguments);
                });
    }

    private static Object invoke(Object target, java.lang.reflect.Method method, Object[] arguments) throws Throwable {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            throw e.getTargetException();
        }
    }

    private static Plan plan(String sql, JsonNode explained) {
        JsonNode root = explained.path(0);
        List<String> nodes = new ArrayList<>();
        double touched = walk(root.path("Plan"), nodes);
        return new Plan(sql, nodes, touched, root.path("Execution Time").asDouble());
    }

    private static double walk(JsonNode node, List<String> nodes) {
        String type = node.path("Node Type").asText();
        double touched = 0;
        if (type.contains("Scan")) {
            nodes.add(type + " " + node.path("Index Name").asText(""));
            touched = node.path("Actual Loops").asDouble()
                    * (node.path("Actual Rows").asDouble()
                            + node.path("Rows Removed by Filter").asDouble()
                            + node.path("Rows Removed by Index Recheck").asDouble());
        }
        for (JsonNode child : node.path("Plans")) {
            touched += walk(child, nodes);
        }
        return touched;
    }
}
