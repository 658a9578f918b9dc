package dev.penstock.node;

import java.util.List;
import java.util.Map;

/**
 * A program that is to be started for one request. What a job says is in its files, never among its arguments, which
 * everybody on the machine can read.
 *
 * @param program its name
 * @param files by name; the program is started in their folder
 * @param ignored fields of the job that have no equivalent
 */
record ProgramCall(
        String program, List<String> arguments, Map<String, byte[]> files, ProgramOutput output, List<String> ignored) {
    ProgramCall {
        arguments = List.copyOf(arguments);
        files = Map.copyOf(files);
        ignored = List.copyOf(ignored);
    }
}
