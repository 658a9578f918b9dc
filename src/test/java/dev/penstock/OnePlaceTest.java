package dev.penstock;

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

/** What is done in one place only, so that its limits hold everywhere. */
@AnalyzeClasses(packages = "dev.penstock", importOptions = ImportOption.DoNotIncludeTests.class)
class OnePlaceTest {
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
}
