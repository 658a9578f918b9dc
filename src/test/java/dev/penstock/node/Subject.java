package dev.penstock.node;

import java.util.Optional;

/** A real or a simulated server for a backend of Penstock. */
interface Subject {
    /** Returns empty if the subject cannot show this case. */
    Optional<Stage> stage(ContractCase wanted) throws Exception;
}
