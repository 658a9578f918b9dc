package dev.penstock.route.balance;

import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The jobs of a session go to the same node while it is up. If it has no free slot, a job goes to the next node in the
 * order of the session, and the later jobs return.
 *
 * @param key the hash of the session's name
 */
public record SessionAffinity(long key) implements Order {
    @Override
    public @Nullable Option first(List<Option> pool, RandomGenerator chance) {
        return Rendezvous.first(key, pool, _ -> false);
    }

    @Override
    public List<Option> inOrder(List<Option> pool) {
        return Rendezvous.inOrder(key, pool, _ -> false);
    }

    @Override
    public Figure figure(Option option, List<Option> pool) {
        int place = Rendezvous.place(key, option, pool);
        return new Figure(place, "place %d in the order of the session".formatted(place));
    }
}
