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
            .layer("app")
            .definedBy("dev.penstock.app")
            .layer("job")
            .definedBy("dev.penstock.job")
            .layer("thread")
            .definedBy("dev.penstock.thread")
            .layer("wire")
            .definedBy("dev.penstock.wire..")
            .layer("kafka")
            .definedBy("dev.penstock.kafka..")
            .layer("settings")
            .definedBy("dev.penstock.settings..")
            .layer("tenant")
            .definedBy("dev.penstock.tenant..")
            .layer("route")
            .definedBy("dev.penstock.route..")
            .layer("node")
            .definedBy("dev.penstock.node..")
            .layer("reply")
            .definedBy("dev.penstock.reply")
            .layer("ledger")
            .definedBy("dev.penstock.ledger..")
            .layer("schedule")
            .definedBy("dev.penstock.schedule..")
            .layer("execution")
            .definedBy("dev.penstock.execution..")
            .layer("dispatch")
            .definedBy("dev.penstock.dispatch")
            .layer("intake")
            .definedBy("dev.penstock.intake..")
            .layer("api")
            .definedBy("dev.penstock.api..")
            .layer("cli")
            .definedBy("dev.penstock.cli..")
            .whereLayer("app")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("api")
            .mayOnlyBeAccessedByLayers("app")
            .whereLayer("cli")
            .mayOnlyBeAccessedByLayers("app")
            .whereLayer("cli")
            .mayOnlyAccessLayers("kafka", "wire", "job")
            .whereLayer("intake")
            .mayOnlyAccessLayers(
                    "dispatch", "schedule", "route", "reply", "settings", "tenant", "kafka", "wire", "job", "thread")
            .whereLayer("dispatch")
            .mayOnlyAccessLayers(
                    "execution",
                    "schedule",
                    "route",
                    "node",
                    "reply",
                    "ledger",
                    "settings",
                    "tenant",
                    "kafka",
                    "wire",
                    "job",
                    "thread")
            .whereLayer("execution")
            .mayOnlyAccessLayers("schedule", "route", "node", "settings", "wire", "job", "thread")
            .whereLayer("schedule")
            .mayOnlyAccessLayers("route", "node", "settings", "tenant", "wire", "job")
            .whereLayer("ledger")
            .mayOnlyAccessLayers("reply", "settings", "tenant", "kafka", "wire", "job", "thread")
            .whereLayer("reply")
            .mayOnlyAccessLayers("settings", "tenant", "kafka", "wire", "job", "thread")
            .whereLayer("node")
            .mayOnlyAccessLayers("settings", "tenant", "wire", "job", "thread")
            .whereLayer("route")
            .mayOnlyAccessLayers("settings", "tenant", "wire", "job", "thread")
            .whereLayer("settings")
            .mayOnlyAccessLayers("tenant", "kafka", "wire", "job", "thread")
            .whereLayer("kafka")
            .mayOnlyAccessLayers("wire", "job", "thread")
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

    /** What others use of a node is in the root of its package, which may use all of the rest. */
    @ArchTest
    static final ArchRule ARROWS_IN_NODE = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.node..")
            .layer("root")
            .definedBy("dev.penstock.node")
            .layer("answer")
            .definedBy("dev.penstock.node.protocol.answer")
            .layer("protocol")
            .definedBy("dev.penstock.node.protocol")
            .layer("upstream")
            .definedBy("dev.penstock.node.upstream")
            .layer("signals")
            .definedBy("dev.penstock.node.signals")
            .layer("media")
            .definedBy("dev.penstock.node.media")
            .layer("http")
            .definedBy("dev.penstock.node.http")
            .layer("program")
            .definedBy("dev.penstock.node.program")
            .layer("models")
            .definedBy("dev.penstock.node.models")
            .layer("limits")
            .definedBy("dev.penstock.node.limits")
            .whereLayer("root")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("models")
            .mayOnlyAccessLayers("http", "upstream", "protocol", "answer")
            .whereLayer("program")
            .mayOnlyAccessLayers("http", "upstream", "protocol", "answer")
            .whereLayer("http")
            .mayOnlyAccessLayers("upstream", "protocol", "answer", "signals")
            .whereLayer("media")
            .mayOnlyAccessLayers("protocol", "answer")
            .whereLayer("upstream")
            .mayOnlyAccessLayers("protocol", "signals")
            .whereLayer("protocol")
            .mayOnlyAccessLayers("answer", "signals")
            .whereLayer("signals")
            .mayNotAccessAnyLayer()
            .whereLayer("answer")
            .mayNotAccessAnyLayer()
            .whereLayer("limits")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule NODES_HIDE_HOW_THEY_CALL = ArchRuleDefinition.noClasses()
            .that()
            .resideOutsideOfPackage("dev.penstock.node..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "dev.penstock.node.http", "dev.penstock.node.program", "dev.penstock.node.protocol.answer");

    @ArchTest
    static final ArchRule ARROWS_IN_CLI = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.cli..")
            .layer("root")
            .definedBy("dev.penstock.cli")
            .layer("job")
            .definedBy("dev.penstock.cli.job")
            .layer("view")
            .definedBy("dev.penstock.cli.view")
            .layer("rest")
            .definedBy("dev.penstock.cli.rest")
            .layer("kafka")
            .definedBy("dev.penstock.cli.kafka")
            .layer("batch")
            .definedBy("dev.penstock.cli.batch")
            .layer("command")
            .definedBy("dev.penstock.cli.command")
            .layer("doctor")
            .definedBy("dev.penstock.cli.doctor")
            .whereLayer("root")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("doctor")
            .mayOnlyAccessLayers("command", "kafka", "rest", "view", "job")
            .whereLayer("command")
            .mayOnlyAccessLayers("batch", "kafka", "rest", "view", "job")
            .whereLayer("batch")
            .mayOnlyAccessLayers("view", "job")
            .whereLayer("kafka")
            .mayOnlyAccessLayers("rest", "job")
            .whereLayer("rest")
            .mayOnlyAccessLayers("job")
            .whereLayer("view")
            .mayOnlyAccessLayers("job")
            .whereLayer("job")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule ARROWS_IN_WIRE = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.wire..")
            .layer("root")
            .definedBy("dev.penstock.wire")
            .layer("record")
            .definedBy("dev.penstock.wire.record")
            .layer("document")
            .definedBy("dev.penstock.wire.document")
            .whereLayer("document")
            .mayOnlyAccessLayers("record", "root")
            .whereLayer("record")
            .mayOnlyAccessLayers("root")
            .whereLayer("root")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule ARROWS_IN_SETTINGS = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.settings..")
            .layer("root")
            .definedBy("dev.penstock.settings")
            .layer("log")
            .definedBy("dev.penstock.settings.log")
            .layer("source")
            .definedBy("dev.penstock.settings.source")
            .layer("read")
            .definedBy("dev.penstock.settings.read")
            .layer("topic")
            .definedBy("dev.penstock.settings.topic")
            .layer("start")
            .definedBy("dev.penstock.settings.start")
            .whereLayer("start")
            .mayOnlyAccessLayers("read", "source", "root")
            .whereLayer("topic")
            .mayOnlyAccessLayers("root")
            .whereLayer("read")
            .mayOnlyAccessLayers("source", "root")
            .whereLayer("source")
            .mayOnlyAccessLayers("root")
            .whereLayer("log")
            .mayNotAccessAnyLayer()
            .whereLayer("root")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule ARROWS_IN_LEDGER = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.ledger..")
            .layer("root")
            .definedBy("dev.penstock.ledger")
            .layer("row")
            .definedBy("dev.penstock.ledger.row")
            .layer("database")
            .definedBy("dev.penstock.ledger.database")
            .layer("projector")
            .definedBy("dev.penstock.ledger.projector")
            .layer("janitor")
            .definedBy("dev.penstock.ledger.janitor")
            .whereLayer("root")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("janitor")
            .mayOnlyAccessLayers("projector", "database", "row")
            .whereLayer("projector")
            .mayOnlyAccessLayers("database", "row")
            .whereLayer("database")
            .mayOnlyAccessLayers("row")
            .whereLayer("row")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule ARROWS_IN_API = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.api..")
            .layer("root")
            .definedBy("dev.penstock.api")
            .layer("connection")
            .definedBy("dev.penstock.api.connection")
            .layer("call")
            .definedBy("dev.penstock.api.call")
            .layer("jobs")
            .definedBy("dev.penstock.api.jobs")
            .layer("admin")
            .definedBy("dev.penstock.api.admin")
            .layer("openai")
            .definedBy("dev.penstock.api.openai")
            .whereLayer("root")
            .mayOnlyAccessLayers("call")
            .whereLayer("jobs")
            .mayOnlyAccessLayers("call", "connection")
            .whereLayer("admin")
            .mayOnlyAccessLayers("call")
            .whereLayer("openai")
            .mayOnlyAccessLayers("call")
            .whereLayer("call")
            .mayOnlyAccessLayers("connection")
            .whereLayer("connection")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule ARROWS_IN_INTAKE = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.intake..")
            .layer("root")
            .definedBy("dev.penstock.intake")
            .layer("record")
            .definedBy("dev.penstock.intake.record")
            .layer("setup")
            .definedBy("dev.penstock.intake.setup")
            .layer("watch")
            .definedBy("dev.penstock.intake.watch")
            .layer("share")
            .definedBy("dev.penstock.intake.share")
            .layer("group")
            .definedBy("dev.penstock.intake.group")
            .whereLayer("root")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("share")
            .mayOnlyAccessLayers("watch", "setup", "record")
            .whereLayer("group")
            .mayOnlyAccessLayers("record")
            .whereLayer("watch")
            .mayOnlyAccessLayers("setup", "record")
            .whereLayer("setup")
            .mayNotAccessAnyLayer()
            .whereLayer("record")
            .mayNotAccessAnyLayer();

    @ArchTest
    static final ArchRule ARROWS_IN_KAFKA = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.penstock.kafka..")
            .layer("root")
            .definedBy("dev.penstock.kafka")
            .layer("share")
            .definedBy("dev.penstock.kafka.share")
            .layer("lane")
            .definedBy("dev.penstock.kafka.share.lane")
            .whereLayer("root")
            .mayNotAccessAnyLayer()
            .whereLayer("share")
            .mayOnlyAccessLayers("lane")
            .whereLayer("lane")
            .mayNotAccessAnyLayer();

    /** A new version of Kafka's client changes at most these two files. */
    @ArchTest
    static final ArchRule TWO_FILES_USE_KAFKAS_INTERNALS = ArchRuleDefinition.noClasses()
            .that()
            .resideInAPackage("dev.penstock.kafka.share..")
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
    static final ArchRule THE_MIDDLE_KNOWS_NO_KAFKA = ArchRuleDefinition.noClasses()
            .that()
            .resideInAnyPackage("dev.penstock.schedule", "dev.penstock.execution")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.apache.kafka..");

    @ArchTest
    static final ArchRule JOB_IS_PLAIN_JAVA = ArchRuleDefinition.classes()
            .that()
            .resideInAPackage("dev.penstock.job")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("java..", "dev.penstock.job", "org.jspecify.annotations");
}
