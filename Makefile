# Penstock. `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help build broker audit chaos soak kafka-next fuzz schemathesis live test test-long test-full test-native test-rows test-images demo native image manifests picture bench run format words clean jdk

# Make looks for the JDK once, when a recipe needs it. If there is none, find-jdk.sh prints how to get one.
JDK = $(eval JDK := $$(shell src/demo/find-jdk.sh))$(or $(JDK),$(error no JDK 25))
MVN = JAVA_HOME="$(JDK)" ./mvnw -B -ntp
JAVA = "$(JDK)/bin/java" -XX:+ExitOnOutOfMemoryError --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow
JAR := target/quarkus-app/quarkus-run.jar
RUNNER := target/penstock-runner
comma := ,
# the Java code of the demo and the bench is in test scope
CLASSPATH_GOAL := org.apache.maven.plugins:maven-dependency-plugin:3.7.0:build-classpath \
	-Dmdep.outputFile=target/test-classpath -DincludeScope=test
TEST_CLASSPATH = target/test-classes:target/classes:$$(cat target/test-classpath)
# $(call changed,STAMP,FOLDERS): true if the file STAMP is missing, or if a file in FOLDERS is newer
changed = [ ! -f $(1) ] || [ -n "$$(find pom.xml $(2) -newer $(1) | head -n 1)" ]

help: ## Prints this list
	@echo "Penstock: prompt jobs from Kafka or REST, dispatched to model servers, answers streamed back"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## Builds the jar, target/quarkus-app/quarkus-run.jar, and the test classes, if a source has changed
	@if $(call changed,target/built,src/main src/test docs/wire) || [ ! -f $(JAR) ] || [ ! -f target/test-classpath ]; then \
		echo "building with the JDK in $(JDK) (the first time, dependencies are downloaded: some minutes)"; \
		mkdir -p target && touch target/building && \
		JAVA_HOME="$(JDK)" src/demo/progress.sh target/build.log ./mvnw -B package -DskipTests -Dspotless.check.skip=true $(CLASSPATH_GOAL) && \
		mv target/building target/built; \
	fi

# RERUNS=1: a failed test runs once more. If it passes then, it is reported as a flake
RERUN = $(if $(RERUNS),-Dsurefire.rerunFailingTestsCount=$(RERUNS) -Dfailsafe.rerunFailingTestsCount=$(RERUNS))

# JAR_TESTS run the service from the jar; OWN_TESTS start no service. test-native runs all tests that start the service
JAR_TESTS := ApiIT,ContinuedTextIT,CrashIT,DirectCallsIT,LlamaServerIT,SdksIT,StartedProgramsIT
OWN_TESTS := KilledProjectorIT,LlamaCliIT,LlamaServerBackendsIT,LlamaServerProcessIT,ProjectionPropertyIT,QueryPlansIT

test: ## Runs the unit tests and the most important integration tests, with a real broker, a llama-server and a scripted model server
	@mkdir -p target && touch target/building
	$(MVN) verify $(CLASSPATH_GOAL) -Dit.test='$(JAR_TESTS),$(OWN_TESTS)' $(RERUN)
	@mv target/building target/built

test-long: build ## Runs all integration tests on the jar
	$(MVN) failsafe:integration-test@together failsafe:integration-test@alone failsafe:verify@together failsafe:verify@alone \
		-DargLine= -Dit.left=none $(RERUN)

# the properties set the numbers of jobs and kills in these tests
FULL_TESTS := -DargLine= -Dit.left=none -Dit.forks=1 -Dpenstock.test.jobs=5000 -Dpenstock.test.replica-kills=20 -Dpenstock.test.blocked=5000 \
	-Dpenstock.test.others=500 -Dpenstock.test.queued=100000 -Dpenstock.test.continued-kills=100 -Djunit.jupiter.execution.timeout.testable.method.default=60m \
	-Dit.test='QueueIT,BoundsIT,KilledReplicasIT,ScheduleIT,ContinuedLlamaIT'

test-full: build ## Runs the queue's tests at full size, for an hour: 100,000 queued jobs, 500 jobs behind 5,000 others, 120 kills
	$(MVN) failsafe:integration-test@together failsafe:integration-test@alone failsafe:verify@together failsafe:verify@alone \
		$(FULL_TESTS)

demo: build ## Runs a broker, a model server, Penstock and two jobs. With ONCE=1 it ends by itself. NATIVE=1 selects the native executable
	@if [ "$(NATIVE)" = 1 ] && [ ! -x $(RUNNER) ]; then echo "there is no $(RUNNER): make native" >&2; exit 1; fi
	@JAVA_HOME="$(JDK)" ONCE="$(ONCE)" NATIVE="$(NATIVE)" src/demo/demo.sh

broker: build ## Runs a Kafka broker on 127.0.0.1:9092 until Ctrl-C; its data stays in .demo/broker. PORT=... sets another port
	@exec $(JAVA) -Xmx768m -Djava.util.logging.manager=org.jboss.logmanager.LogManager -cp "$(TEST_CLASSPATH)" \
		dev.penstock.demo.LocalBroker $(or $(PORT),9092) .demo/broker

native: ## Builds the native executable, target/penstock-runner, with GraalVM or Mandrel 25, or else with a toolchain in target/graalvm
	@if $(call changed,target/built-native,src/main docs/wire) || [ ! -x $(RUNNER) ]; then \
		mkdir -p target && touch target/building-native && \
		home=$$(JAVA_HOME="$(JDK)" src/native/find-graalvm.sh target/graalvm) && \
		GRAALVM_HOME="$$home" $(MVN) package -Dnative -DskipTests -Dspotless.check.skip=true \
			-Dquarkus.native.native-image-xmx=6g && \
		mv target/building-native target/built-native; \
	fi

# omits the tests that do not start the service; the numbers of jobs are smaller
NATIVE_TESTS := -Dit.forks=3 -Dit.left=none -Dpenstock.executable=$(RUNNER) -DargLine= -Dpenstock.test.jobs=1000 -Dpenstock.test.blocked=500 \
	-Dpenstock.test.others=64 -Dpenstock.test.queued=8000 -Dit.test='*IT,!$(subst $(comma),$(comma)!,$(OWN_TESTS))'

test-native: build native ## Runs the integration tests on the native executable
	$(MVN) failsafe:integration-test@together failsafe:integration-test@alone failsafe:verify@together failsafe:verify@alone \
		$(NATIVE_TESTS) $(RERUN)

bench: build ## Runs the benchmarks: prints tables, and writes JSON to target/bench. ARGS="..." selects lanes and options
	@$(JAVA) -Dpenstock.build-dir=target -cp "$(TEST_CLASSPATH)" dev.penstock.bench.Bench $(ARGS)

chaos: build ## Runs three replicas under load and faults, then a checker. SECONDS=180 SEED=... INTAKE=own|kafka|classic|mixed
	@$(JAVA) -Xmx1g -Dpenstock.build-dir=target -cp "$(TEST_CLASSPATH)" dev.penstock.chaos.Chaos $(or $(SECONDS),180) "$(SEED)" "$(INTAKE)"

soak: build ## Runs two replicas under a steady load; fails if their memory or threads grow. MINUTES=60 RATE=20 INTAKE=own|kafka|mixed
	@$(JAVA) -Xmx2g -Dpenstock.build-dir=target -cp "$(TEST_CLASSPATH)" dev.penstock.chaos.Soak $(or $(MINUTES),60) $(or $(RATE),20) "$(SEED)" "$(INTAKE)"

kafka-next: build ## Compiles the main sources against a newer Kafka client, and prints what breaks. VERSION=4.4.0. It never fails
	@JAVA_HOME="$(JDK)" src/kafka/next.sh $(VERSION)

fuzz: build ## Sends generated calls, records and servers' answers to the service. SECONDS=120 sets the duration, SEED=... the case
	@$(JAVA) -Xmx1g -Dpenstock.build-dir=target -cp "$(TEST_CLASSPATH)" dev.penstock.fuzz.Fuzz $(or $(SECONDS),120) $(SEED)

schemathesis: build ## Runs Schemathesis on every call of the API document. SCHEMATHESIS=... sets the program, ARGS=... its arguments
	@$(JAVA) -Xmx1g -Dpenstock.build-dir=target -cp "$(TEST_CLASSPATH)" dev.penstock.fuzz.SchemaCheck $(or $(SCHEMATHESIS),schemathesis) $(ARGS)

test-rows: build ## Tests the ledger's queries with 10 million jobs in PostgreSQL. ROWS=... sets another number
	$(MVN) failsafe:integration-test@together failsafe:verify@together -Dit.test=QueryPlansIT -Dpenstock.test.rows=$(or $(ROWS),10000000) -DargLine= \
		-Djunit.jupiter.execution.timeout.testable.method.default=60m

live: build ## Tests the backends with real servers (VLLM_URL, OLLAMA_HOST, OPENAI_API_KEY, …); prints a table of cases by backend
	@$(JAVA) -Dpenstock.build-dir=target -Djava.util.logging.manager=org.jboss.logmanager.LogManager -cp "$(TEST_CLASSPATH)" \
		dev.penstock.node.LiveBackends

test-images: build ## Builds and runs the images on substitute base images, as root on Debian. IMAGES=jvm selects one image
	@JAVA_HOME="$(JDK)" TEST_CLASSPATH="$(TEST_CLASSPATH)" IMAGES_GRAALVM="$(CURDIR)/target/graalvm" docker/test-images.sh $(IMAGES)

image: ## Builds the image penstock:0.1.0 from docker/Dockerfile.native. KIND=jvm selects Dockerfile.jvm, ENGINE=podman another engine
	$(or $(ENGINE),docker) build -f docker/Dockerfile.$(or $(KIND),native) -t penstock:0.1.0 \
		--build-arg REVISION=$$(git rev-parse HEAD) .

audit: ## Writes the bill of materials (target/penstock.cdx.json, CycloneDX), and lists known vulnerabilities if OSV is reachable
	$(MVN) -q org.cyclonedx:cyclonedx-maven-plugin:2.9.1:makeBom -DincludeTestScope=false -DoutputFormat=json -DoutputName=penstock.cdx
	@python3 src/audit/osv.py target/penstock.cdx.json

picture: build ## Draws docs/dashboard.png from a run of some minutes. PROMETHEUS=/usr/bin/prometheus sets the program
	@$(JAVA) -Xmx1g -Djava.awt.headless=true -Dpenstock.build-dir=target -cp "$(TEST_CLASSPATH)" \
		dev.penstock.deploy.DashboardPicture $(or $(PROMETHEUS),prometheus) $(or $(MINUTES),5) docs/dashboard.png

manifests: build ## Generates k8s/base and the chart's table of values
	@$(JAVA) -Dpenstock.build-dir=target -cp "$(TEST_CLASSPATH)" dev.penstock.deploy.PlainManifests

run: build ## Runs the service alone, with KAFKA_BOOTSTRAP_SERVERS and config/application.yaml
	@PENSTOCK_EXECUTABLE=$(JAR) JAVA_HOME="$(JDK)" exec bin/penstock

format: ## Formats the Java code
	$(MVN) -q spotless:apply

words: ## Checks the words of docs, comments and messages, and the docs' links. ARGS="docs README.md" selects files and folders
	@python3 src/words/words.py $(ARGS)

clean: ## Removes target, but not .demo with the downloaded model server
	rm -rf target

jdk: ## Prints the home of the JDK that make uses
	@echo "$(JDK)"
