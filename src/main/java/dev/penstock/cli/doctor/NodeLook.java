package dev.penstock.cli.doctor;

import dev.penstock.wire.Reason;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Probes the configured nodes from this machine, all in parallel. */
final class NodeLook {
    private static final long PATIENCE_SECONDS = 15;
    private static final int SHOWN = 5;

    private NodeLook() {}

    static List<Finding> look(List<Installation.Node> nodes) throws InterruptedException {
        List<Finding> found = new ArrayList<>();
        ExecutorService all = Executors.newVirtualThreadPerTaskExecutor();
        try {
            List<Future<Installation.Health>> looks = nodes.stream()
                    .map(node -> all.submit(() -> node.look().look()))
                    .toList();
            for (int i = 0; i < looks.size(); i++) {
                Installation.Node node = nodes.get(i);
                found.add(finding("node " + node.name(), node.backend(), health(node, looks.get(i))));
            }
        } finally {
            all.shutdownNow();
        }
        return found;
    }

    private static Installation.Health health(Installation.Node node, Future<Installation.Health> look)
            throws InterruptedException {
        try {
            return look.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (TimeoutException _) {
            return down("%s did not answer within %d s".formatted(node.address(), PATIENCE_SECONDS));
        } catch (ExecutionException e) {
            return down("%s cannot be asked (%s)".formatted(node.address(), Reason.of(e.getCause())));
        }
    }

    private static Installation.Health down(String words) {
        return new Installation.Health(Installation.State.DOWN, List.of(), words);
    }

    static Finding finding(String what, String backend, Installation.Health health) {
        String words = health.words();
        return switch (health.state()) {
            case UP ->
                words.isEmpty()
                        ? Finding.ok(what, "%s, %s".formatted(backend, models(health.models())))
                        : Finding.warn(what, words, "");
            case LOADING -> Finding.warn(what, "%s loads: %s".formatted(backend, words), "wait until it has");
            case DOWN -> Finding.fail(what, words.isEmpty() ? "%s is down".formatted(backend) : words, "");
        };
    }

    private static String models(List<String> models) {
        if (models.isEmpty()) {
            return "lists no model";
        }
        String some = String.join(", ", models.subList(0, Math.min(SHOWN, models.size())));
        return models.size() > SHOWN ? "%s and %d more".formatted(some, models.size() - SHOWN) : some;
    }
}
