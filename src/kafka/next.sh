#!/bin/sh
# next.sh [VERSION]: compiles the main sources against another version of kafka-clients, and prints which files break. Without VERSION:
# the next minor version. A file that breaks is no failure: the status is always 0. The library's internal classes are used in two files.
# Needs the classes' dependencies in target/test-classpath (make build) and the JDK in JAVA_HOME.
set -u
cd "$(dirname "$0")/../.." || exit 0
used=$(sed -n 's#.*<kafka.version>\(.*\)</kafka.version>.*#\1#p' pom.xml)
minor=$(echo "$used" | cut -d. -f2)
version=${1:-$(echo "$used" | cut -d. -f1).$((minor + 1)).0}
out=target/kafka-next
mkdir -p "$out/classes"

say() { echo "kafka-clients $version: $*"; }

./mvnw -B -ntp -q org.apache.maven.plugins:maven-dependency-plugin:3.7.0:get -Dtransitive=false \
	-Dartifact="org.apache.kafka:kafka-clients:$version" >"$out/get.log" 2>&1 || {
	say "not checked, because Maven cannot find this version ($out/get.log)"
	exit 0
}
classpath=$(sed "s#kafka-clients/$used/kafka-clients-$used.jar#kafka-clients/$version/kafka-clients-$version.jar#" target/test-classpath)
case $classpath in
*"kafka-clients-$version.jar"*) ;;
*)
	say "not checked, because target/test-classpath has no kafka-clients $used"
	exit 0
	;;
esac

find src/main/java -name '*.java' >"$out/sources"
if "$JAVA_HOME/bin/javac" -nowarn -proc:none -parameters -Xmaxerrs 1000 -d "$out/classes" -cp "$classpath" "@$out/sources" >"$out/javac.log" 2>&1; then
	say "the main sources compile (Penstock uses $used)"
	exit 0
fi
if ! grep -q ': error: ' "$out/javac.log"; then
	say "not checked, because the compiler does not run ($out/javac.log)"
	exit 0
fi
grep ': error: ' "$out/javac.log"
say "these files need a change (Penstock uses $used):"
sed -n 's#^\(src/main/java/.*\.java\):[0-9]*: error: .*#\1#p' "$out/javac.log" | sort | uniq -c | sed 's#^ *\([0-9]*\) #  \1 errors in #'
exit 0
