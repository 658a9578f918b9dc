package dev.penstock;

import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.fasterxml.jackson.core.TokenStreamFactory;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.cfg.MapperBuilder;
import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaConstructorCall;
import com.tngtech.archunit.core.domain.JavaMethodCall;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.syntax.ArchRuleDefinition;

/** The arrows between the packages; docs/architecture.md draws them. */
@AnalyzeClasses(packages = "dev.penstock", importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {
    @ArchTest
    static final ArchRule ARROWS = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock..")
            .withOptionalLayers(true)
            .layer("main")
            .definedBy("dev.penstock")
            .layer("job")
            .definedBy("dev.penstock.job")
            .layer("thread")
            .definedBy("dev.penstock.thread")
            .layer("wire")
            .definedBy("dev.penstock.wire")
            .layer("settings")
            .definedBy("dev.penstock.settings")
            .layer("kafka")
            .definedBy("dev.penstock.kafka..")
            .layer("tenant")
            .definedBy("dev.penstock.tenant")
            .layer("route")
            .definedBy("dev.penstock.route")
            .layer("node")
            .definedBy("dev.penstock.node")
            .layer("reply")
            .definedBy("dev.penstock.reply")
            .layer("ledger")
            .definedBy("dev.penstock.ledger")
            .layer("schedule")
            .definedBy("dev.penstock.schedule")
            .layer("dispatch")
            .definedBy("dev.penstock.dispatch")
            .layer("intake")
            .definedBy("dev.penstock.intake")
            .layer("api")
            .definedBy("dev.penstock.api")
            .layer("cli")
            .definedBy("dev.penstock.cli")
            .whereLayer("main")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("cli")
            .mayOnlyAccessLayers("wire", "job")
            .whereLayer("intake")
            .mayOnlyAccessLayers("dispatch", "schedule", "reply", "settings", "tenant", "wire", "job", "thread")
            .whereLayer("dispatch")
            .mayOnlyAccessLayers(
                    "schedule", "route", "node", "reply", "ledger", "settings", "tenant", "wire", "job", "thread")
            .whereLayer("schedule")
            .mayOnlyAccessLayers("route", "node", "settings", "wire", "job")
            .whereLayer("ledger")
            .mayOnlyAccessLayers("reply", "settings", "tenant", "wire", "job", "thread")
            .whereLayer("reply")
            .mayOnlyAccessLayers("settings", "tenant", "wire", "job", "thread")
            .whereLayer("node")
            .mayOnlyAccessLayers("settings", "tenant", "wire", "job", "thread")
            .whereLayer("route")
            .mayOnlyAccessLayers("settings", "tenant", "wire", "job", "thread")
            .whereLayer("kafka")
            .mayOnlyAccessLayers("settings", "job")
            .whereLayer("settings")
            .mayOnlyAccessLayers("tenant", "wire", "job", "thread")
            .whereLayer("tenant")
            .mayOnlyAccessLayers("wire", "job", "thread")
            .whereLayer("wire")
            .mayOnlyAccessLayers("job")
            .whereLayer("job")
            .mayNotAccessAnyLayer()
            .whereLayer("thread")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule NO_CIRCLES =
            slices().matching("dev.penstock.(*)..").should().beFreeOfCycles();

    /** Its limits hold for everything that is read. */
    @ArchTest
    static final ArchRule ONE_PLACE_READS_JSON = ArchRuleDefinition.noClasses()
            .that()
            .doNotHaveFullyQualifiedName("dev.penstock.wire.Json")
            .and()
            .doNotHaveFullyQualifiedName("dev.penstock.wire.Yaml")
            .should()
            .dependOnClassesThat()
            .areAssignableTo(TokenStreamFactory.class)
            .orShould()
            .dependOnClassesThat()
            .areAssignableTo(MapperBuilder.class)
            .orShould()
            .dependOnClassesThat()
            .areAssignableTo(ObjectReader.class)
            .orShould()
            .callConstructorWhere(DescribedPredicate.describe(
                    "a mapper is made",
                    (JavaConstructorCall call) -> call.getTargetOwner().isAssignableTo(ObjectMapper.class)))
            .orShould()
            .callMethodWhere(DescribedPredicate.describe(
                    "a mapper reads",
                    (JavaMethodCall call) -> call.getTargetOwner().isAssignableTo(ObjectMapper.class)
                            && call.getName().matches("read.*|createParser|treeToValue")));

    @ArchTest
    static final ArchRule SCHEDULE_KNOWS_NO_KAFKA = ArchRuleDefinition.noClasses()
            .that()
            .resideInAPackage("dev.penstock.schedule")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.apache.kafka..");

    /** A new version of Kafka's client changes at most these two files. */
    @ArchTest
    static final ArchRule TWO_FILES_USE_KAFKAS_INTERNALS = ArchRuleDefinition.noClasses()
            .that()
            .resideInAPackage("dev.penstock.kafka..")
            .and()
            .haveNameNotMatching("dev\\.penstock\\.kafka\\.share\\.(Wire|BatchReader)(\\$.*)?")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "org.apache.kafka.clients",
                    "org.apache.kafka.common.compress..",
                    "org.apache.kafka.common.message..",
                    "org.apache.kafka.common.network..",
                    "org.apache.kafka.common.protocol..",
                    "org.apache.kafka.common.record..",
                    "org.apache.kafka.common.requests..",
                    "org.apache.kafka.common.utils..");

    @ArchTest
    static final ArchRule JOB_IS_PLAIN_JAVA = ArchRuleDefinition.classes()
            .that()
            .resideInAPackage("dev.penstock.job")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("java..", "dev.penstock.job", "org.jspecify.annotations");
}
