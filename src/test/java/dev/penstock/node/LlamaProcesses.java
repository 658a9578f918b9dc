package dev.penstock.node;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The processes and files of the llama.cpp programs that this test started. */
final class LlamaProcesses {
    private LlamaProcesses() {}

    static long group(ProcessHandle process) throws IOException {
        String stat = Files.readString(Path.of("/proc/" + process.pid() + "/stat"));
        return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[2]);
    }

    static Stream<ProcessHandle> running() {
        return ProcessHandle.current()
                .descendants()
                .filter(process -> process.info().command().orElse("").contains("llama-"));
    }

    static String commandLine(ProcessHandle process) throws IOException {
        return Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"));
    }

    static List<Path> leftFolders() throws IOException {
        String prefix = "penstock-" + ProcessHandle.current().pid() + "-";
        try (Stream<Path> folders = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return folders.filter(folder -> String.valueOf(folder.getFileName()).startsWith(prefix))
                    .toList();
        }
    }
}
