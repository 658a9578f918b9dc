package dev.penstock;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaMethodCall;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.lang.syntax.ArchRuleDefinition;
import java.time.Clock;
import java.time.Instant;
import java.util.Set;

/**
 * The static fields of the executable have the values of the machine that built it. So no static field holds a time,
 * the size of the memory or the number of processors.
 */
@AnalyzeClasses(packages = "dev.penstock", importOptions = ImportOption.DoNotIncludeTests.class)
class BuildTimeStateTest {
    private static final Set<String> OF_THE_MACHINE =
            Set.of("nanoTime", "currentTimeMillis", "maxMemory", "totalMemory", "availableProcessors", "randomUUID");

    @ArchTest
    static final ArchRule NO_STATIC_FIELD_HOLDS_WHAT_THE_MACHINE_SAYS = ArchRuleDefinition.classes()
            .should(new ArchCondition<>("read no clock and no size in static initializers") {
                @Override
                public void check(JavaClass checked, ConditionEvents events) {
                    checked.getStaticInitializer()
                            .ifPresent(initializer -> initializer.getMethodCallsFromSelf().stream()
                                    .filter(BuildTimeStateTest::asksTheMachine)
                                    .forEach(call ->
                                            events.add(SimpleConditionEvent.violated(call, call.getDescription()))));
                }
            });

    private static boolean asksTheMachine(JavaMethodCall call) {
        boolean clock = call.getTargetOwner().isAssignableTo(Clock.class);
        boolean now = call.getTargetOwner().isEquivalentTo(Instant.class);
        return (now && call.getName().equals("now"))
                || (clock && Set.of("millis", "instant").contains(call.getName()))
                || OF_THE_MACHINE.contains(call.getName());
    }
}
