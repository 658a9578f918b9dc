package dev.penstock.ledger.database;

import dev.penstock.settings.Settings;
import io.agroal.api.AgroalDataSource;
import io.quarkus.agroal.DataSource;
import io.quarkus.arc.InjectableInstance;
import io.quarkus.flyway.FlywayDataSource;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import org.flywaydb.core.Flyway;

/** Provides the database of the ledger. The build contains both kinds, and the settings choose one at the start. */
final class ChosenDatabase {
    private ChosenDatabase() {}

    @Produces
    @Singleton
    static LedgerDatabase database(
            Settings settings,
            @DataSource("sqlite") InjectableInstance<AgroalDataSource> sqlite,
            @DataSource("postgresql") InjectableInstance<AgroalDataSource> postgresql,
            @FlywayDataSource("sqlite") InjectableInstance<Flyway> sqliteMigrations,
            @FlywayDataSource("postgresql") InjectableInstance<Flyway> postgresqlMigrations) {
        return switch (settings.ledger().kind()) {
            case SQLITE -> new LedgerDatabase(settings.ledger(), sqlite.get(), sqliteMigrations.get());
            case POSTGRESQL -> new LedgerDatabase(settings.ledger(), postgresql.get(), postgresqlMigrations.get());
            case NONE -> new LedgerDatabase(settings.ledger(), null, null);
        };
    }
}
