package dev.penstock.node;

import java.util.Optional;

/** A server, or what plays one, that a backend of Penstock talks to. */
interface Subject {
    /** Empty: it cannot be brought to show this. */
    Optional<Stage> stage(ContractCase wanted) throws Exception;
}
