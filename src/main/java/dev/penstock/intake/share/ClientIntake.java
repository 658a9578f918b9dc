package dev.penstock.intake.share;

import dev.penstock.dispatch.Dispatcher;
import dev.penstock.intake.record.JobRecords;
import dev.penstock.intake.record.RecordDelivery;
import dev.penstock.intake.record.Source;
import dev.penstock.kafka.KafkaClients;
import dev.penstock.kafka.share.ShareClient;
import dev.penstock.kafka.share.ShareTopics;
import dev.penstock.kafka.share.lane.ShareOptions;
import dev.penstock.settings.Settings;
import dev.penstock.thread.SupervisedThread;
import dev.penstock.wire.record.RecordSize;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.IntSupplier;
import org.apache.kafka.clients.CommonClientConfigs;
import org.jboss.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * Takes the records of all job topics with Penstock's own share client. It takes as many as the nodes and the slots
 * can run, and a few more, so that a slot that becomes free has its next job, and so that priorities and jobs of the
 * same model have a choice.
 */
public final class ClientIntake implements Source {
    private static final Logger LOG = Logger.getLogger(ClientIntake.class);

    /** The client id in every request for records. */
    private static final String CLIENT_ID = "penstock-intake";

    /** The slots may also change without the end of a job. */
    private static final Duration LOOK_EVERY = Duration.ofMillis(50);

    private static final Duration LOOK_AT_MOST_EVERY = Duration.ofMillis(5);
    private static final Duration CLOSE_WITHIN = Duration.ofSeconds(5);

    /** One record of each topic may wait for so many slots, whatever the other topics have. */
    private static final int SLOTS_FOR_EACH_OWN = 16;

    private static final int LEAST_OWN = 4;
    /** A job whose id the producer chose is looked up before it waits for a node. The look-up may take half a second. */
    private static final int LEAST_OF_TENANTS = 24;

    /**
     * How many records wait here while a job waits for a change of a node's model. ModelSwapsIT runs 300 jobs for three
     * models in turn: with 8 records they cause 84 loads, with 64 they cause 9, and in their own order 296.
     */
    private static final int AHEAD_OF_SWAPS = 64;

    /** The scheduler defers blocked jobs earlier. */
    private static final int MOST_BLOCKED = 1_000;

    private static final int MOST_ROOM = 1_000_000;

    private final Settings.Intake intake;
    private final IntSupplier capacity;
    private final IntSupplier blocked;
    private final BooleanSupplier swapsWait;
    private final ShareTopics client;
    private final List<ClientTopic> topics;
    /** Has a permit for each job that has ended since the last look. */
    private final Semaphore ended = new Semaphore(0);

    /** Whether the topics belong to several tenants. */
    private final boolean hasTenants;
    /** Whether the records of a topic name their tenants. */
    private final boolean mixesTenants;

    private final LookAhead lookAhead = new LookAhead(System.nanoTime() / 1_000_000);

    private final SupervisedThread rooms = new SupervisedThread("penstock-intake-rooms", this::keepRooms);
    private volatile @Nullable Thread closer;

    /** @param deliveryLimits by topic, the number of deliveries after which the broker drops a record */
    public ClientIntake(
            Settings settings,
            KafkaClients kafka,
            JobRecords records,
            Dispatcher dispatcher,
            RecordDelivery.Writers writers,
            ShareDelivery.Origins origins,
            Map<String, Integer> deliveryLimits,
            MeterRegistry meters) {
        this(
                settings,
                client(settings, kafka),
                new ClientTopic.Parts(
                        records::isOpen,
                        dispatcher::slotsLeft,
                        dispatcher::tenantRoom,
                        records::start,
                        lost -> dispatcher.lost(lost.origin().place(), lost.place()),
                        writers,
                        origins),
                dispatcher::capacity,
                dispatcher::blocked,
                dispatcher::swapsWait,
                deliveryLimits,
                meters);
    }

    /**
     * @param capacity returns how many jobs the nodes take from this replica
     * @param blocked returns how many jobs wait for full nodes while another node is idle
     * @param swapsWait returns whether a job waits for a node that must load its model in place of another one
     */
    ClientIntake(
            Settings settings,
            ShareTopics client,
            ClientTopic.Parts parts,
            IntSupplier capacity,
            IntSupplier blocked,
            BooleanSupplier swapsWait,
            Map<String, Integer> deliveryLimits,
            MeterRegistry meters) {
        intake = settings.intake();
        hasTenants = intake.topics().stream()
                        .map(Settings.JobTopic::tenant)
                        .distinct()
                        .count()
                > 1;
        mixesTenants = intake.topics().stream().anyMatch(topic -> !topic.hasOneTenant());
        this.client = client;
        this.capacity = capacity;
        this.blocked = blocked;
        this.swapsWait = swapsWait;
        // the client serves the first ones first
        topics = intake.topics().stream()
                .sorted(Comparator.comparingInt(topic -> topic.priority().rank()))
                .map(topic -> new ClientTopic(
                        client,
                        topic,
                        settings.group(topic),
                        deliveryLimits.getOrDefault(topic.name(), Integer.MAX_VALUE),
                        ended::release,
                        parts))
                .toList();
        topics.forEach(topic -> topic.register(meters));
    }

    private static ShareClient client(Settings settings, KafkaClients kafka) {
        int bytes = settings.intake().ownFetchBytes();
        return new ShareClient(
                kafka.with(Map.of(CommonClientConfigs.CLIENT_ID_CONFIG, CLIENT_ID)),
                ShareOptions.defaults(RecordSize.kept(settings.maxRecord()), bytes)
                        .withFetchBytes(bytes),
                CLOSE_WITHIN);
    }

    @Override
    public void start() {
        setRooms();
        client.start();
        rooms.start();
    }

    /** Returns too early if the client's thread has ended. Then this thread is gone too, and {@code live} is down. */
    void keepRooms() throws InterruptedException {
        while (!rooms.isStopping()) {
            if (!client.isAlive()) {
                LOG.error("the share client's thread has ended: this replica takes no more jobs");
                return;
            }
            setRooms();
            Thread.sleep(LOOK_AT_MOST_EVERY);
            if (ended.tryAcquire(LOOK_EVERY.toMillis(), TimeUnit.MILLISECONDS)) {
                ended.release();
            }
        }
    }

    /** Tells the client how many records the slots and the nodes can use now. */
    void setRooms() {
        int running = Math.min(intake.slots(), capacity.getAsInt());
        int usual = lookAhead.after(ended.drainPermits(), running, System.nanoTime() / 1_000_000);
        // the more records of such a topic are here, the more tenants the scheduler can choose from
        int ofTenants = mixesTenants ? Math.max(usual, running) : usual;
        // the more records are here, the more jobs for the loaded model the scheduler can choose from
        int ahead = swapsWait.getAsBoolean() ? Math.max(ofTenants, AHEAD_OF_SWAPS) : ofTenants;
        // behind the blocked jobs, there may be jobs for the idle node
        int behind = Math.min(MOST_BLOCKED, blocked.getAsInt());
        client.room((int) Math.min(MOST_ROOM, (long) running + ahead + behind));
        // each tenant needs enough jobs here that its share of the slots never lacks the next one
        int least = hasTenants
                ? Math.max(LEAST_OF_TENANTS, running)
                : Math.max(LEAST_OWN, intake.slots() / SLOTS_FOR_EACH_OWN);
        topics.forEach(topic -> topic.room(ahead, behind, least));
    }

    @Override
    public Map<String, String> warnings() {
        Map<String, String> warnings = new TreeMap<>();
        for (ClientTopic topic : topics) {
            String warning = topic.warning();
            if (!warning.isEmpty()) {
                warnings.put("share." + topic.name(), warning);
            }
        }
        return warnings;
    }

    @Override
    public void stop() {
        rooms.interrupt();
        topics.forEach(ClientTopic::stop);
    }

    @Override
    public void close() {
        stop();
        // it ends with the process
        closer = Thread.ofPlatform().daemon().name("penstock-intake-close").start(client::close);
    }

    @Override
    public void awaitClosed() throws InterruptedException {
        Thread closing = closer;
        if (closing != null) {
            closing.join(CLOSE_WITHIN.plusSeconds(1));
        }
    }
}
