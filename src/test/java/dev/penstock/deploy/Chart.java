package dev.penstock.deploy;

import com.marcnuri.helm.Helm;
import com.marcnuri.helm.LintResult;
import com.marcnuri.helm.TemplateCommand;
import dev.penstock.testkit.TestEnvironment;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** {@code helm/penstock}, rendered by Helm itself. */
final class Chart {
    static final Path FOLDER = TestEnvironment.projectDir().resolve("helm").resolve("penstock");
    static final String RELEASE = "demo";
    static final String NAMESPACE = "llm";
    private static final String KUBERNETES = "1.34.0";

    private Chart() {}

    /** Returns the values files that come with the chart. */
    static List<Path> ciValues() {
        try (Stream<Path> files = Files.list(FOLDER.resolve("ci"))) {
            return files.sorted().toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Path ciValues(String name) {
        return FOLDER.resolve("ci").resolve(name + "-values.yaml");
    }

    /**
     * Renders every document, with the one of {@code helm test}.
     *
     * @throws IllegalStateException with Helm's message, if Helm refuses
     */
    static List<Manifest> render(Path... values) {
        return Manifest.all(text(RELEASE, NAMESPACE, values));
    }

    /** Returns the rendered text. */
    static String text(String release, String namespace, Path... values) {
        Path chart = withoutHooks();
        TemplateCommand template = new Helm(chart)
                .template()
                .withName(release)
                .withNamespace(namespace)
                .withKubeVersion(KUBERNETES);
        for (Path file : values) {
            template.withValuesFile(file);
        }
        return template.call();
    }

    /** Writes a file of values, below target. */
    static Path valuesFile(String yaml) {
        try {
            Path folder = Files.createDirectories(TestEnvironment.buildDir().resolve("values"));
            return Files.writeString(Files.createTempFile(folder, "values", ".yaml"), yaml);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static LintResult lint() {
        return new Helm(FOLDER).lint().strict().call();
    }

    /** The library leaves hooks out. So the test pod is rendered from a copy in which it is no hook. */
    private static Path withoutHooks() {
        // of this process: another fork may render its own meanwhile
        Path copy = TestEnvironment.buildDir()
                .resolve("chart-" + ProcessHandle.current().pid());
        try (Stream<Path> files = Files.walk(FOLDER)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Path target = copy.resolve(FOLDER.relativize(file).toString());
                Files.createDirectories(target.resolveSibling("."));
                String text = Files.readString(file);
                Files.writeString(
                        target,
                        file.toString().endsWith("api.yaml")
                                ? text.replaceAll("(?m)^ +annotations:\n( +helm\\.sh/hook.*\n)+", "")
                                : text);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return copy;
    }
}
