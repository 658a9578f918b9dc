package dev.penstock.route;

import static org.assertj.core.api.Assertions.assertThat;

import dev.penstock.job.JobFailure;
import dev.penstock.job.PromptJob;
import dev.penstock.job.Task;
import dev.penstock.settings.Backend;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class RouterTest {
    private static final Router.NodeView GPU = view("gpu-a", Backend.VLLM, "gpu", "llama-3b");
    private static final Router.NodeView CPU = view("cpu-a", Backend.OLLAMA, "cpu", "llama3.2:3b", "tiny:latest");
    private static final Router.NodeView EDGE = view("edge", Backend.LLAMA_SERVER, "edge", "llama-3b");
    private static final Router.NodeView CLOUD = view("openai", Backend.OPENAI, "cloud", "llama-3b");
    private final Router router =
            new Router(Map.of("fast", Map.of(Backend.VLLM, "llama-3b", Backend.OLLAMA, "llama3.2:3b")), null, false);

    @Test
    void pools_are_tried_gpu_first_then_cpu_then_others_and_never_cloud() {
        Router.Route route =
                router.find(null, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(CLOUD, EDGE, CPU, GPU));

        assertThat(route)
                .isEqualTo(new Router.Route.To(List.of(
                        List.of(new Router.Candidate("gpu-a", "llama-3b")),
                        List.of(new Router.Candidate("cpu-a", "llama3.2:3b")),
                        List.of(new Router.Candidate("edge", "llama-3b")))));
    }

    @Test
    void a_profile_names_a_model_for_each_backend() {
        Router.Route route = router.find("fast", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(GPU, CPU, EDGE));

        assertThat(route)
                .isEqualTo(new Router.Route.To(List.of(
                        List.of(new Router.Candidate("gpu-a", "llama-3b")),
                        List.of(new Router.Candidate("cpu-a", "llama3.2:3b")))));
    }

    @Test
    void a_profiles_model_runs_only_where_it_is_listed() {
        Router tiny = new Router(
                Map.of("fast", Map.of(Backend.LLAMA_SERVER, "tiny", Backend.OLLAMA, "tiny", Backend.ANTHROPIC, "opus")),
                "fast",
                false);
        Router.NodeView lists = view("gpu-a", Backend.LLAMA_SERVER, "gpu", "tiny");
        Router.NodeView another = view("cpu-a", Backend.LLAMA_SERVER, "cpu", "slow");
        Router.NodeView tagged = view("cpu-b", Backend.OLLAMA, "cpu", "slow:latest", "tiny:latest");
        Router.NodeView dated = view("claude", Backend.ANTHROPIC, "cloud", "opus-mini-20250101", "opus-20251101");
        Router.NodeView unknown = new Router.NodeView(
                "new", Backend.LLAMA_SERVER, "gpu", List.of(), Map.of(), false, null, Router.Fetching.NEVER);

        for (String asked : new String[] {"fast", null}) {
            assertThat(tiny.find(asked, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(lists, another)))
                    .isEqualTo(to("gpu-a", "tiny"));
            assertThat(tiny.find(asked, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(tagged, another)))
                    .as("as it is listed")
                    .isEqualTo(to("cpu-b", "tiny:latest"));
            assertThat(tiny.find(asked, Task.CHAT, new PromptJob.Pins("cloud", null), Targets.NONE, List.of(dated)))
                    .isEqualTo(to("claude", "opus-20251101"));
            assertThat(tiny.find(asked, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(unknown, another)))
                    .as("it waits for who has not said yet")
                    .isEqualTo(new Router.Route.To(List.of()));
        }
        assertThat(nowhere(tiny.find("fast", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(another)))
                        .message())
                .isEqualTo(
                        "model 'fast' (profile; anthropic: opus, llama-server: tiny, ollama: tiny) is on no node. Available: slow on cpu-a");
    }

    @Test
    void a_node_with_a_model_of_its_own_that_lists_another_gets_no_job() {
        Router.NodeView node = new Router.NodeView(
                "cpu-a", Backend.LLAMA_SERVER, "cpu", List.of(), Map.of(), true, "tiny", Router.Fetching.NEVER);

        for (String asked : new String[] {"tiny", null}) {
            assertThat(nowhere(router.find(asked, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(node)))
                            .code())
                    .isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        }
    }

    @Test
    void a_name_without_a_tag_is_ollamas_latest() {
        Router.Route route = router.find("tiny", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(GPU, CPU));

        assertThat(route)
                .isEqualTo(new Router.Route.To(List.of(List.of(new Router.Candidate("cpu-a", "tiny:latest")))));
    }

    @Test
    void a_pin_opens_the_cloud() {
        Router.Route route =
                router.find(null, Task.CHAT, new PromptJob.Pins("cloud", null), Targets.NONE, List.of(CLOUD, GPU));

        assertThat(route).isEqualTo(new Router.Route.To(List.of(List.of(new Router.Candidate("openai", "llama-3b")))));
    }

    @Test
    void a_name_that_no_node_lists_may_be_another_deployment_at_azure() {
        Router.NodeView azure = new Router.NodeView(
                "azure", Backend.AZURE_OPENAI, "cloud", List.of("chat"), Map.of(), true, "chat", Router.Fetching.NEVER);
        Router profiles = new Router(Map.of("best", Map.of(Backend.AZURE_OPENAI, "gpt-best")), null, false);
        PromptJob.Pins cloud = new PromptJob.Pins("cloud", null);

        assertThat(profiles.find(null, Task.CHAT, cloud, Targets.NONE, List.of(azure)))
                .isEqualTo(to("azure", "chat"));
        assertThat(profiles.find("chat", Task.CHAT, cloud, Targets.NONE, List.of(azure, CLOUD)))
                .isEqualTo(to("azure", "chat"));
        assertThat(profiles.find("vectors", Task.CHAT, cloud, Targets.NONE, List.of(azure, CLOUD)))
                .isEqualTo(to("azure", "vectors"));
        assertThat(profiles.find("llama-3b", Task.CHAT, cloud, Targets.NONE, List.of(azure, CLOUD)))
                .as("who lists it comes first")
                .isEqualTo(to("openai", "llama-3b"));
        assertThat(profiles.find("best", Task.CHAT, cloud, Targets.NONE, List.of(azure)))
                .isEqualTo(to("azure", "gpt-best"));
        assertThat(profiles.find("vectors", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(azure, GPU)))
                .as("no prompt goes there by itself")
                .isInstanceOf(Router.Route.Nowhere.class);
    }

    private static Router.Route to(String node, String model) {
        return new Router.Route.To(List.of(List.of(new Router.Candidate(node, model))));
    }

    @Test
    void an_unknown_model_is_reported_with_the_known_ones() {
        JobFailure failure =
                nowhere(router.find("nope", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(GPU, CPU)));

        assertThat(failure.code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        assertThat(failure.message()).contains("'nope'", "ollama pull nope", "llama-3b on gpu-a");
    }

    @Test
    void a_pin_to_nothing_configured_fails_and_names_what_there_is() {
        JobFailure failure = nowhere(
                router.find(null, Task.CHAT, new PromptJob.Pins(null, "gpu-z"), Targets.NONE, List.of(GPU, CPU)));

        assertThat(failure.code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(failure.message())
                .isEqualTo("node 'gpu-z' not found. Available: cpu-a (pool cpu), gpu-a (pool gpu)");
    }

    @Test
    void while_a_nodes_models_are_unknown_the_job_waits() {
        Router.NodeView silent = new Router.NodeView(
                "new", Backend.VLLM, "gpu", List.of(), Map.of(), false, null, Router.Fetching.NEVER);

        assertThat(router.find("nope", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(silent, CPU)))
                .isEqualTo(new Router.Route.To(List.of()));
        assertThat(router.find("nope", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of()))
                .isEqualTo(new Router.Route.To(List.of()));
    }

    @Test
    void a_node_that_was_never_reached_for_long_is_named_as_such() {
        Router.NodeView silent = new Router.NodeView(
                "new", Backend.VLLM, "gpu", List.of(), Map.of(), true, null, Router.Fetching.NEVER, "refused");

        JobFailure failure =
                nowhere(router.find("nope", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(silent, CPU)));

        assertThat(failure.code()).isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
        assertThat(failure.message()).contains("model 'nope' is on no node").endsWith(". Never reached: new (refused)");
    }

    @Test
    void a_job_that_names_no_model_gets_one_for_its_task() {
        Router.NodeView node = new Router.NodeView(
                "cpu-a",
                Backend.OLLAMA,
                "cpu",
                List.of("nomic-embed-text", "llama3.2:3b", "new"),
                Map.of(
                        "nomic-embed-text", Set.of(Task.EMBEDDINGS),
                        "llama3.2:3b", Set.of(Task.CHAT, Task.COMPLETION)),
                true,
                null,
                Router.Fetching.NEVER);

        assertThat(router.find(null, Task.EMBEDDINGS, PromptJob.Pins.NONE, Targets.NONE, List.of(node)))
                .isEqualTo(to("cpu-a", "nomic-embed-text"));
        assertThat(router.find(null, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(node)))
                .isEqualTo(to("cpu-a", "llama3.2:3b"));
        assertThat(router.find(null, Task.TAG, PromptJob.Pins.NONE, Targets.NONE, List.of(node)))
                .as("it does not say what that one is for")
                .isEqualTo(to("cpu-a", "new"));
        assertThat(router.find("nomic-embed-text", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(node)))
                .as("who names one gets it")
                .isEqualTo(to("cpu-a", "nomic-embed-text"));
    }

    @Test
    void a_model_that_no_node_has_is_fetched_by_a_node_that_fetches() {
        Router.NodeView fetches = fetching("cpu-b", null, Map.of(), "tiny:latest");
        Router.NodeView other = fetching("cpu-c", null, Map.of());

        assertThat(router.find(
                        "hf:user/repo:Q4",
                        Task.CHAT,
                        PromptJob.Pins.NONE,
                        Targets.NONE,
                        List.of(other, GPU, CPU, fetches)))
                .isEqualTo(afterFetch("hf:user/repo:Q4", "cpu-c", "cpu-b"));
        assertThat(router.find("tiny", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(other, fetches)))
                .isEqualTo(new Router.Route.To(List.of(List.of(new Router.Candidate("cpu-b", "tiny:latest")))));
        assertThat(router.find("llama-3b", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(other, GPU)))
                .isEqualTo(new Router.Route.To(List.of(List.of(new Router.Candidate("gpu-a", "llama-3b")))));
        assertThat(router.find("fast", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(fetches)))
                .isEqualTo(afterFetch("llama3.2:3b", "cpu-b"));
    }

    @Test
    void a_node_with_a_model_of_its_own_fetches_that_one_only() {
        Router.NodeView own = fetching("cpu-b", "qwen3:8b", Map.of());

        assertThat(router.find(null, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(own)))
                .isEqualTo(afterFetch("qwen3:8b", "cpu-b"));
        assertThat(router.find("qwen3:8b", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(own)))
                .isEqualTo(afterFetch("qwen3:8b", "cpu-b"));
        assertThat(nowhere(router.find("tiny", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(own)))
                        .code())
                .isEqualTo(JobFailure.Code.MODEL_NOT_FOUND);
    }

    @Test
    void a_failed_fetch_is_reported_with_the_reason() {
        Router.NodeView failed = fetching("cpu-b", null, Map.of("nope:latest", "file does not exist"));
        Router.NodeView next = fetching("cpu-c", null, Map.of());

        assertThat(router.find("nope", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(failed, next)))
                .isEqualTo(afterFetch("nope", "cpu-c"));
        assertThat(nowhere(router.find("nope", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(failed)))
                        .message())
                .isEqualTo(
                        "model 'nope' is on no node, and could not be fetched: file does not exist. Available: none");
    }

    @Test
    void a_model_on_other_nodes_only_is_reported_with_their_names() {
        JobFailure failure = nowhere(
                router.find("llama-3b", Task.CHAT, new PromptJob.Pins(null, "cpu-a"), Targets.NONE, List.of(GPU, CPU)));

        assertThat(failure.message())
                .endsWith("model 'llama-3b' is not on node 'cpu-a': ollama pull llama-3b. On: gpu-a");
    }

    private static Router.Route afterFetch(String model, String... nodes) {
        return new Router.Route.AfterFetch(
                Stream.of(nodes).map(node -> new Router.Candidate(node, model)).toList());
    }

    private static Router.NodeView fetching(
            String name, @Nullable String only, Map<String, String> inVain, String... models) {
        return new Router.NodeView(
                name, Backend.OLLAMA, "cpu", List.of(models), Map.of(), true, only, new Router.Fetching(true, inVain));
    }

    private static JobFailure nowhere(Router.Route route) {
        assertThat(route).isInstanceOf(Router.Route.Nowhere.class);
        return ((Router.Route.Nowhere) route).failure();
    }

    @Test
    void a_rules_targets_replace_the_fixed_order_and_open_the_cloud() {
        Targets targets = new Targets("long", List.of("cloud", "cpu-a", "gpu"));

        assertThat(router.find(null, Task.CHAT, PromptJob.Pins.NONE, targets, List.of(GPU, CPU, EDGE, CLOUD)))
                .isEqualTo(new Router.Route.To(List.of(
                        List.of(new Router.Candidate("openai", "llama-3b")),
                        List.of(new Router.Candidate("cpu-a", "llama3.2:3b")),
                        List.of(new Router.Candidate("gpu-a", "llama-3b")))));
        assertThat(router.whyNot(null, Task.CHAT, PromptJob.Pins.NONE, targets, EDGE))
                .contains("rule 'long' sends to cloud, cpu-a, gpu");
        assertThat(router.whyNot(null, Task.CHAT, PromptJob.Pins.NONE, targets, GPU))
                .isEmpty();
    }

    @Test
    void a_pin_beats_the_rules_targets() {
        Targets targets = new Targets("small", List.of("cpu"));

        assertThat(router.find(null, Task.CHAT, new PromptJob.Pins("gpu", null), targets, List.of(GPU, CPU)))
                .isEqualTo(to("gpu-a", "llama-3b"));
        assertThat(router.whyNot(null, Task.CHAT, new PromptJob.Pins("gpu", null), targets, CPU))
                .contains("the job pins pool 'gpu'");
        assertThat(router.whyNot(null, Task.CHAT, new PromptJob.Pins(null, "gpu-a"), targets, CPU))
                .contains("the job pins node 'gpu-a'");
    }

    @Test
    void targets_that_do_not_exist_leave_no_node() {
        JobFailure failure = nowhere(router.find(
                null, Task.CHAT, PromptJob.Pins.NONE, new Targets("canary", List.of("canary", "gpu-z")), List.of(GPU)));

        assertThat(failure.code()).isEqualTo(JobFailure.Code.NO_NODE);
        assertThat(failure.message())
                .isEqualTo(
                        "rule 'canary' sends to canary, gpu-z, and there is no such pool and no such node. Available: gpu-a (pool gpu)");
    }

    @Test
    void with_cloud_fallback_the_cloud_is_the_last_pool() {
        Router open = new Router(Map.of(), null, true);
        Router.NodeView lab = view("lab", Backend.VLLM, "zoo", "llama-3b");

        assertThat(open.find(null, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, List.of(CLOUD, lab, GPU)))
                .isEqualTo(new Router.Route.To(List.of(
                        List.of(new Router.Candidate("gpu-a", "llama-3b")),
                        List.of(new Router.Candidate("lab", "llama-3b")),
                        List.of(new Router.Candidate("openai", "llama-3b")))));
        assertThat(router.whyNot(null, Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, CLOUD))
                .contains("prompts go to pool 'cloud' only by a rule, job.pool or cloud-fallback");
    }

    @Test
    void a_node_without_the_model_is_left_out_with_the_reason() {
        assertThat(router.whyNot("fast", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, EDGE))
                .contains("profile 'fast' has no model for llama-server");
        assertThat(router.whyNot("tiny", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, GPU))
                .contains("it does not list model 'tiny'");
        Router.NodeView own = new Router.NodeView(
                "own", Backend.VLLM, "gpu", List.of("tiny"), Map.of(), true, "tiny", Router.Fetching.NEVER);
        assertThat(router.whyNot("big", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, own))
                .contains("it serves only model 'tiny'");
        Router.NodeView unknown = new Router.NodeView(
                "new", Backend.VLLM, "gpu", List.of(), Map.of(), false, null, Router.Fetching.NEVER);
        assertThat(router.whyNot("big", Task.CHAT, PromptJob.Pins.NONE, Targets.NONE, unknown))
                .contains("it has not listed its models yet");
    }

    private static Router.NodeView view(String name, Backend backend, String pool, String... models) {
        return new Router.NodeView(name, backend, pool, List.of(models), Map.of(), true, null, Router.Fetching.NEVER);
    }
}
