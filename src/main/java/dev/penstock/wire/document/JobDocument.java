package dev.penstock.wire.document;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.penstock.job.JobFailure;
import dev.penstock.job.JobId;
import dev.penstock.job.Priority;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.wire.AllowedHosts;
import dev.penstock.wire.Fields;
import dev.penstock.wire.InvalidField;
import dev.penstock.wire.Json;
import dev.penstock.wire.MediaUrls;
import dev.penstock.wire.ModelName;
import dev.penstock.wire.WebhookName;
import java.math.BigInteger;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Parses a job's document strictly into a valid job. The document has the same form in a Kafka record and in {@code
 * POST /v1/jobs}.
 */
public final class JobDocument {
    private static final List<String> NUMBERS = List.of(
            "temperature", "top_p", "presence_penalty", "frequency_penalty", "min_p", "repetition_penalty", "mirostat");
    private static final List<String> INTEGERS =
            List.of("max_tokens", "max_completion_tokens", "n", "seed", "top_k", "top_logprobs");
    /** Fields that are sent to servers as integers, whatever their notation in the job. */
    private static final Set<String> INTEGRAL = Set.of(
            "max_tokens",
            "max_completion_tokens",
            "n",
            "seed",
            "top_k",
            "top_logprobs",
            "logprobs",
            "prompt_logprobs",
            "best_of",
            "dimensions",
            "min_tokens",
            "truncate_prompt_tokens",
            "mirostat",
            "num_ctx",
            "num_predict",
            "n_predict",
            "n_probs",
            "repeat_last_n",
            "thinking_budget_tokens",
            "top_n");

    /**
     * The longest name of a model, pool or node. The limit exists because names are part of messages, database rows and
     * indexes.
     */
    private static final int LONGEST_NAME = ModelName.LONGEST;

    private static final List<String> JOB_FIELDS = List.of(
            "id",
            "task",
            "priority",
            "timeout",
            "deadline",
            "reply_topic",
            "session",
            "pool",
            "node",
            "tenant",
            "max_attempts",
            "retry_of",
            "ensemble",
            "cache",
            "webhook",
            "result",
            "response");

    /**
     * The documented fields without effect in this version. {@code job.cache: off} is allowed, because this version
     * behaves in that way.
     */
    private static final List<String> UNAVAILABLE = List.of("reply_topic", "ensemble", "cache");

    /** The configured tenant of a topic in which each record has its own tenant. */
    public static final String TENANT_FROM_RECORD = "from-record";

    /** The tenant of a job that states none. */
    public static final String DEFAULT_TENANT = "default";

    private JobDocument() {}

    /**
     * The defaults of the topic or the API through which a document arrives.
     *
     * @param tenant the tenant of all its jobs, or {@link #TENANT_FROM_RECORD}
     */
    public record Defaults(
            Priority priority, String tenant, Duration timeout, Duration maxTimeout, Permissions permissions) {
        public Defaults(Priority priority, String tenant, Duration timeout, Duration maxTimeout) {
            this(priority, tenant, timeout, maxTimeout, Permissions.NONE);
        }
    }

    /**
     * The permissions for a job's body.
     *
     * @param fields the allowed fields that give access to a server's internals
     * @param hosts the hosts of the media to which a job may refer by URL
     * @param webhooks the names of the webhooks that a job may name
     */
    public record Permissions(Set<String> fields, AllowedHosts hosts, Set<String> webhooks) {
        public static final Permissions NONE = new Permissions(Set.of(), AllowedHosts.NONE, Set.of());

        public Permissions {
            fields = Set.copyOf(fields);
            webhooks = Set.copyOf(webhooks);
        }
    }

    /**
     * Facts about a document that are not in its value.
     *
     * @param headerId the value of the header job-id; null if there is none
     * @param derivedId the id to use if the job has none
     * @param acceptedAt the record's timestamp
     */
    public record Arrival(@Nullable String headerId, JobId derivedId, Instant acceptedAt) {}

    /** The result of parsing a document. */
    public sealed interface Parsed {
        record Valid(PromptJob job) implements Parsed {}

        /**
         * @param id the id for the refusal: the header job-id, else {@code job.id} of a well-formed value, else the
         *     derived id
         */
        record Refused(JobId id, JobFailure failure) implements Parsed {}
    }

    public static Parsed parse(byte @Nullable [] value, Arrival arrival, Defaults defaults) {
        JsonNode root;
        try {
            if (value == null) {
                throw new Json.MalformedJson("the record has no value: expected a JSON object", null);
            }
            root = Json.parseStrict(value);
        } catch (Json.MalformedJson e) {
            return new Parsed.Refused(
                    e.isBeyondLimit() ? idOfTooLarge(value, arrival) : refusedId(null, arrival), e.failure());
        }
        return parse(root, arrival, defaults);
    }

    /** Parses a document that is read as JSON already. */
    public static Parsed parse(JsonNode root, Arrival arrival, Defaults defaults) {
        try {
            return new Parsed.Valid(read(root, arrival, defaults));
        } catch (InvalidField e) {
            return new Parsed.Refused(refusedId(root, arrival), e.failure());
        } catch (ArithmeticException | DateTimeException _) {
            // refused, so that all readers of the record come to the same result
            return new Parsed.Refused(
                    refusedId(root, arrival),
                    JobFailure.of(JobFailure.Code.INVALID_REQUEST, "a number or a time is out of range"));
        } catch (RuntimeException | StackOverflowError _) {
            return new Parsed.Refused(
                    refusedId(root, arrival),
                    JobFailure.of(JobFailure.Code.INVALID_REQUEST, "the document cannot be read as a job"));
        }
    }

    /** Returns the id for the refusal of a record that is too large to be parsed as a job. */
    public static JobId idOfTooLarge(byte @Nullable [] value, Arrival arrival) {
        if (arrival.headerId() != null && JobId.isValid(arrival.headerId())) {
            return new JobId(arrival.headerId());
        }
        String inBody = value == null ? "" : Json.textAt(value, "job", "id").orElse("");
        return JobId.isValid(inBody) ? new JobId(inBody) : arrival.derivedId();
    }

    private static JobId refusedId(@Nullable JsonNode root, Arrival arrival) {
        if (arrival.headerId() != null && JobId.isValid(arrival.headerId())) {
            return new JobId(arrival.headerId());
        }
        String inBody = root == null ? "" : root.path("job").path("id").asText("");
        return JobId.isValid(inBody) ? new JobId(inBody) : arrival.derivedId();
    }

    private static PromptJob read(JsonNode document, Arrival arrival, Defaults defaults) throws InvalidField {
        if (!(document instanceof ObjectNode whole)) {
            throw new InvalidField("$", "expected a JSON object, got " + Fields.kind(document));
        }
        ObjectNode root = withoutNulls(whole);
        JsonNode given = root.get("job");
        if (given != null && !given.isObject()) {
            throw new InvalidField("job", "expected an object, got " + Fields.kind(given));
        }
        Fields job = new Fields("job.", given);
        Fields top = new Fields("", root);
        job.onlyKnown(JOB_FIELDS);

        Task task = Contents.task(root, top, job);
        checkParameters(root);
        ReachingFields.refuse(root, defaults.permissions().fields());
        Optional<JobId> ownId =
                job.text("id").isPresent() ? Optional.of(id("job.id", job.text("id"))) : Optional.empty();
        JobId id = ownId.isPresent()
                ? ownId.get()
                : arrival.headerId() != null
                        ? id("header job-id", Optional.of(arrival.headerId()))
                        : arrival.derivedId();
        refuseUnavailable(job);
        job.text("retry_of");
        job.object("response");
        String tenant = tenant(job, defaults.tenant());
        Map<String, Object> body = body(root);
        Optional<JobFailure> address =
                MediaUrls.refused(body, defaults.permissions().hosts());
        if (address.isPresent()) {
            throw new InvalidField(address.get());
        }
        return new PromptJob(
                id,
                task,
                name("model", top.text("model")),
                top.flag("stream").orElse(true) && task.answersInText(),
                metadata(root.get("metadata")),
                job.oneOf("priority", Priority.values()).orElse(defaults.priority()),
                tenant,
                arrival.acceptedAt(),
                JobTimes.timeout(job, defaults),
                JobTimes.deadline(job, arrival.acceptedAt()),
                new PromptJob.Pins(name("job.pool", job.text("pool")), name("job.node", job.text("node"))),
                name("job.session", job.text("session")),
                job.positiveInteger("max_attempts").orElse(null),
                ResultDocument.read(given == null ? null : given.get("result"), task, body),
                WebhookName.of(job, defaults.permissions().webhooks()),
                body);
    }

    /** Returns all fields of the document that belong to the request. */
    private static Map<String, Object> body(ObjectNode root) {
        Map<String, Object> body = LinkedHashMap.newLinkedHashMap(root.size());
        for (Map.Entry<String, JsonNode> field : root.properties()) {
            String name = field.getKey();
            JsonNode value = field.getValue();
            if (!name.equals("job") && !name.equals("metadata")) {
                boolean isInteger = INTEGRAL.contains(name) && Fields.isInteger(value);
                body.put(name, isInteger ? integer(value) : Objects.requireNonNull(Json.plain(value)));
            }
        }
        return body;
    }

    private static String tenant(Fields job, String ofTopic) throws InvalidField {
        String ownTenant = name("job.tenant", job.text("tenant"));
        if (ofTopic.equals(TENANT_FROM_RECORD)) {
            return ownTenant == null ? DEFAULT_TENANT : ownTenant;
        }
        if (ownTenant != null && !ownTenant.equals(ofTopic)) {
            throw new InvalidField("job.tenant", "records of this topic belong to tenant '" + ofTopic + "'");
        }
        return ofTopic;
    }

    private static @Nullable String name(String path, Optional<String> given) throws InvalidField {
        if (given.isPresent()
                && (given.get().length() > LONGEST_NAME || given.get().chars().anyMatch(Character::isISOControl))) {
            throw new InvalidField(path, "expected up to %d characters on one line".formatted(LONGEST_NAME));
        }
        return given.orElse(null);
    }

    private static JobId id(String path, Optional<String> given) throws InvalidField {
        String value = given.orElse("");
        if (!JobId.isValid(value)) {
            throw new InvalidField(path, JobId.RULE);
        }
        return new JobId(value);
    }

    private static void checkParameters(ObjectNode root) throws InvalidField {
        for (String name : NUMBERS) {
            Fields.checkOptional(root, name, JsonNode::isNumber, "a number");
        }
        for (String name : INTEGERS) {
            Fields.checkOptional(root, name, Fields::isInteger, "an integer");
        }
        Fields.checkOptional(
                root,
                "encoding_format",
                node -> node.asText().equals("float") || node.asText().equals("base64"),
                "float or base64");
        Fields.checkOptional(root, "tools", JsonNode::isArray, "an array");
        Fields.checkOptional(root, "response_format", JsonNode::isObject, "an object");
        Fields.checkOptional(
                root,
                "stop",
                node -> node.isTextual() || Contents.isTextArray(node),
                "a string or an array of strings");
    }

    /** Refuses a field without effect in this version, so that no caller relies on it. */
    private static void refuseUnavailable(Fields job) throws InvalidField {
        for (String name : UNAVAILABLE) {
            if (job.has(name) && !(name.equals("cache") && job.text(name).equals(Optional.of("off")))) {
                throw new InvalidField("job." + name, "is not available in this version: leave it out");
            }
        }
    }

    /** Removes members that are null: OpenAI's clients send null for absent members. */
    private static ObjectNode withoutNulls(ObjectNode whole) {
        ObjectNode root = whole.objectNode();
        whole.properties().forEach(field -> {
            if (!field.getValue().isNull()) {
                root.set(field.getKey(), field.getValue());
            }
        });
        return root;
    }

    /** Returns the number in the smallest type that holds it, as the parser does for plain digits. */
    private static Number integer(JsonNode node) {
        BigInteger number = Fields.integer(node);
        int bits = number.bitLength();
        return bits < Integer.SIZE
                ? (Number) number.intValueExact()
                : bits < Long.SIZE ? (Number) number.longValueExact() : number;
    }

    private static Map<String, String> metadata(@Nullable JsonNode given) throws InvalidField {
        if (given == null || given.isNull()) {
            return Map.of();
        }
        if (!given.isObject()) {
            throw new InvalidField("metadata", "expected an object, got " + Fields.kind(given));
        }
        if (given.size() > 16) {
            throw new InvalidField("metadata", "16 pairs at most, got " + given.size());
        }
        Map<String, String> pairs = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> pair : given.properties()) {
            String path = "metadata." + pair.getKey();
            if (pair.getKey().length() > 64) {
                throw new InvalidField("metadata", "a key has 64 characters at most");
            }
            if (!pair.getValue().isTextual()) {
                throw new InvalidField(path, "expected a string, got " + Fields.kind(pair.getValue()));
            }
            if (pair.getValue().textValue().length() > 512) {
                throw new InvalidField(path, "512 characters at most");
            }
            pairs.put(pair.getKey(), pair.getValue().textValue());
        }
        return pairs;
    }
}
