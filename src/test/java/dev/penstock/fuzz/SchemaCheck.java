package dev.penstock.fuzz;

import dev.penstock.testkit.TestEnvironment;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Runs Schemathesis, an external program, over every call of the document that the packaged service publishes. */
public final class SchemaCheck {
    private SchemaCheck() {}

    /** Arguments: the program, and its further arguments. */
    public static void main(String... args) throws IOException, InterruptedException {
        int status;
        try (Target target = new Target()) {
            List<String> command = new ArrayList<>(List.of(
                    args[0],
                    "run",
                    target.penstock.url() + "/q/openapi?format=json",
                    "--url",
                    target.penstock.url().toString(),
                    // a wait may be 60 s
                    "--request-timeout",
                    "70",
                    "--exclude-path-regex",
                    "^/q/",
                    // a 500 is in no document; a 502 or 503 may be
                    "--checks",
                    "status_code_conformance,content_type_conformance,response_schema_conformance"));
            command.addAll(List.of(args).subList(1, args.length));
            ProcessBuilder program = new ProcessBuilder(command).inheritIO();
            program.environment()
                    .put(
                            "SCHEMATHESIS_HOOKS",
                            TestEnvironment.projectDir()
                                    .resolve("src/audit/schemathesis_lines.py")
                                    .toString());
            status = program.start().waitFor();
        }
        System.exit(status);
    }
}
