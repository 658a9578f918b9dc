package dev.penstock.testkit;

import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.DescribeTopicsResult;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.internals.KafkaFutureImpl;
import org.jspecify.annotations.Nullable;

/**
 * An admin client without a broker: the test sets the cluster, its topics and where they begin and end. It answers what
 * a cluster, its topics and their offsets are, and nothing else.
 */
public final class PlayedAdmin implements InvocationHandler {
    private static final Node BROKER = new Node(1, "localhost", 9092);

    private final Map<String, TopicDescription> topics = new ConcurrentHashMap<>();
    private final Map<TopicPartition, Log> logs = new ConcurrentHashMap<>();
    private final AtomicInteger offsetQuestions = new AtomicInteger();
    private volatile @Nullable KafkaException failure;
    private volatile boolean holding;
    private volatile @Nullable Runnable held;

    private record Log(long start, long end, int epoch) {}

    /** Makes a client of it. */
    public Admin client() {
        return (Admin) Proxy.newProxyInstance(Admin.class.getClassLoader(), new Class<?>[] {Admin.class}, this);
    }

    /** A topic that is made again has another id. */
    public void topic(String name, Uuid id, int partitions) {
        List<TopicPartitionInfo> all = IntStream.range(0, partitions)
                .mapToObj(i -> new TopicPartitionInfo(i, BROKER, List.of(BROKER), List.of(BROKER)))
                .toList();
        topics.put(name, new TopicDescription(name, false, all, null, id));
    }

    public void log(TopicPartition partition, long start, long end, int epoch) {
        logs.put(partition, new Log(start, end, epoch));
    }

    /** @param why every question fails so; null: they are answered */
    public void fail(@Nullable KafkaException why) {
        failure = why;
    }

    /** The next question of offsets is answered at {@link #release}, with what is true now. */
    public void hold() {
        holding = true;
    }

    public boolean isHeld() {
        return held != null;
    }

    public void release() {
        Runnable answer = held;
        held = null;
        if (answer != null) {
            answer.run();
        }
    }

    /** How many questions of offsets it got. */
    public int offsetQuestions() {
        return offsetQuestions.get();
    }

    @Override
    public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments) throws Throwable {
        Object[] given = arguments == null ? new Object[0] : arguments;
        if (method.isDefault() && !method.getName().equals("describeTopics")) {
            return InvocationHandler.invokeDefault(proxy, method, given);
        }
        return switch (method.getName()) {
            case "close", "describeConfigs" -> null;
            case "describeCluster" -> cluster();
            case "describeTopics" -> describe(given[0]);
            case "listOffsets" -> offsets(given[0]);
            case "toString" -> "PlayedAdmin";
            // a test that needs another request adds it here
            default -> throw new UnsupportedOperationException("the played broker does not answer " + method.getName());
        };
    }

    private <T> KafkaFuture<T> answer(T value) {
        KafkaException why = failure;
        KafkaFutureImpl<T> future = new KafkaFutureImpl<>();
        if (why == null) {
            future.complete(value);
        } else {
            future.completeExceptionally(why);
        }
        return future;
    }

    private static KafkaFuture<TopicDescription> unknown() {
        KafkaFutureImpl<TopicDescription> future = new KafkaFutureImpl<>();
        future.completeExceptionally(new UnknownTopicOrPartitionException());
        return future;
    }

    private DescribeClusterResult cluster() throws ReflectiveOperationException {
        Constructor<?> made = DescribeClusterResult.class.getDeclaredConstructors()[0];
        made.setAccessible(true);
        try {
            return (DescribeClusterResult)
                    made.newInstance(answer(List.of(BROKER)), answer(BROKER), answer("a-cluster"), answer(Set.of()));
        } catch (InvocationTargetException e) {
            throw new IllegalStateException(e);
        }
    }

    @SuppressWarnings("NullAway") // either map may be null
    private DescribeTopicsResult describe(Object asked) {
        Map<String, KafkaFuture<TopicDescription>> described = new HashMap<>();
        for (Object name : (Collection<?>) asked) {
            TopicDescription topic = topics.get(name.toString());
            described.put(name.toString(), topic == null ? unknown() : answer(topic));
        }
        return new DescribeTopicsResult(null, described) {};
    }

    private ListOffsetsResult offsets(Object asked) {
        offsetQuestions.incrementAndGet();
        Map<TopicPartition, KafkaFuture<ListOffsetsResult.ListOffsetsResultInfo>> answers = new HashMap<>();
        Map<TopicPartition, ListOffsetsResult.ListOffsetsResultInfo> now = new HashMap<>();
        ((Map<?, ?>) asked).forEach((place, which) -> {
            Log log = logs.getOrDefault((TopicPartition) place, new Log(0, 0, 0));
            long offset = which instanceof OffsetSpec.EarliestSpec ? log.start() : log.end();
            now.put(
                    (TopicPartition) place,
                    new ListOffsetsResult.ListOffsetsResultInfo(offset, -1, Optional.of(log.epoch())));
        });
        if (!holding) {
            now.forEach((place, info) -> answers.put(place, answer(info)));
            return new ListOffsetsResult(answers);
        }
        holding = false;
        Map<TopicPartition, KafkaFutureImpl<ListOffsetsResult.ListOffsetsResultInfo>> waiting = new HashMap<>();
        now.keySet().forEach(place -> waiting.put(place, new KafkaFutureImpl<>()));
        answers.putAll(waiting);
        held = () -> waiting.forEach((place, future) -> future.complete(now.get(place)));
        return new ListOffsetsResult(answers);
    }
}
