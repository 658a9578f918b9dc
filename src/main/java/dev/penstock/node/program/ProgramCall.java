package dev.penstock.node.program;

import java.util.List;
import java.util.Map;

/**
 * A program to start for one request. The job's texts are in its files, never in its arguments, which every user of the
 * machine can read.
 *
 * @param program the program's name
 * @param files the files by name; the program starts in their folder
 * @param ignored the fields of the job for which the program has no equivalent
 */
record ProgramCall(
        String program, List<String> arguments, Map<String, byte[]> files, ProgramOutput output, List<String> ignored) {
    ProgramCall {
        arguments = List.copyOf(arguments);
        files = Map.copyOf(files);
        ignored = List.copyOf(ignored);
    }
}
