package dev.penstock.deploy;

import dev.penstock.testkit.TestEnvironment;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Renders the files from the chart that are checked in: the plain manifests, and the chart's table of values. */
public final class PlainManifests {
    static final Path FOLDER = TestEnvironment.projectDir().resolve("k8s");
    static final Path BASE = FOLDER.resolve("base").resolve("penstock.yaml");
    static final Path README = Chart.FOLDER.resolve("README.md");
    private static final String RELEASE = "penstock";
    /** Replaced by kustomize; the base has no namespace. */
    private static final String PLACEHOLDER = "to-be-said";

    private PlainManifests() {}

    public static void main(String... args) throws IOException {
        Files.writeString(BASE, base());
        Files.writeString(README, ValuesTable.into(Files.readString(README)));
        System.out.println("rendered " + BASE + " and the table of " + README);
    }

    /** Removes the parts that only Helm reads. */
    static String base() {
        String rendered = Chart.text(RELEASE, PLACEHOLDER, FOLDER.resolve("values.yaml"));
        return "# Rendered from helm/penstock with k8s/values.yaml: make manifests\n"
                + rendered.replaceAll(
                                "(?m)^ *(namespace: " + PLACEHOLDER + "|helm\\.sh/chart: .*"
                                        + "|app\\.kubernetes\\.io/managed-by: Helm|# Source: .*)\n",
                                "")
                        .replaceAll("(?m)^ +$\n?", "");
    }
}
