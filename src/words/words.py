#!/usr/bin/env python3
"""Prints what docs/contributing.md ("Words") rules out in docs, comments and the texts of the service, and links that lead nowhere.
Each line is file:line: what.

Usage, from the top of the project: words.py [PATH…]; without a path it reads the whole project. It exits with 1 where it
printed anything.
"""
import os
import re
import sys

LONGEST = 140
ALL = ["README.md", "CHANGELOG.md", "docs", "examples", "helm", "k8s", "docker", "bin", "src", "Makefile", ".ci/run"]
SKIPPED = ("target", "node_modules")
GLOSSARY = "docs/architecture.md"
HASH = (".yaml", ".yml", ".tpl", ".sh", ".py", ".properties", ".jvm", ".native", "Makefile", ".ci/run", "bin/penstock")

# a pattern in prose, and what to write in its place
WORDS = {
    r"(some|no|any|every)body('s)?|who(so)?ever": "replica, consumer, client, caller or operator",
    r"told|said|(is|are|was|were|be|been|being) named": "set, reported or listed",
    r"(?:(?<=^)|(?<=[.!?;:] ))of (?!course)": "start with the subject",
    r"no longer(?! than)|anymore|(?<!is )(?<!are )(?<!be )used to (be|have)|before this change|formerly": "no history",
    r"(sets?|setting|parked) aside": "deferred",
    r"suspects?|runs? apart": "quarantined",
    r"in ([a-z']+ )?hand": "in flight",
    r"without a word": "without an outcome",
    r"pass(es|ed|ing)? over": "skipped",
    r"(places?|waits?) in (the|its) line|waiting line": "queue entry",
}
HISTORY_MAY = ("CHANGELOG.md", "docs/decisions/")
# a class, and its name by the glossary
CLASSES = {
    "Line": "Scheduler", "Ticket": "QueueEntry", "Wish": "RouteKey", "Hold": "Delivery", "Held": "Delivery",
    "ShareHeld": "ShareDelivery", "LogHeld": "GroupDelivery", "Hand": "InFlightRecords", "RoomShares": "MemoryBudget",
    "Room": "Reservation", "Earlier": "DuplicateCheck", "LastWord": "OutcomeWriter", "Silence": "StallTimeouts",
    "Pace": "NodeThroughput", "Life": "JobTimeline", "Arrivals": "Submissions", "Attendance": "GroupPresence",
    "Told": "Result", "Asked": "Request", "Look": "Lookup", "Suspects": "Quarantine", "SetAsideJobs": "DeferredJobs",
}
TERMS = ("scheduler", "queue entry", "delivery", "lock", "lease", "reservation", "deferred", "quarantined", "duplicate", "replica",
         "consumer", "client", "operator", "in flight", "backlog", "outcome", "attempt", "failover", "drain", "circuit breaker")

COMMENT = re.compile(r'"""(?s:.*?)"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|(//[^\n]*|/\*(?s:.*?)\*/)')
LITERALS = re.compile(r'//[^\n]*|/\*(?s:.*?)\*/|\'(?:\\.|[^\'\\\n])+\'|("""(?s:.*?)"""|"(?:\\.|[^"\\\n])*"(?:\s*\+\s*"(?:\\.|[^"\\\n])*")*)')
CODE = re.compile(r"`[^`]*`|\{@\w+ [^}]*\}|<https?:[^>]*>|\]\([^)]*\)")
found = set()


def markdown(path, text):
    """Blocks of prose and cells of tables, as lists of (line, text), without code and what is generated."""
    blocks, block, fenced, generated, blank = [], [], False, False, True
    for number, line in enumerate(text.splitlines() + [""], 1):
        fence = line.startswith("```")
        fenced, generated = fenced != fence, (generated or "<!-- generated" in line) and "<!-- end" not in line
        code = fenced or fence or (line.startswith("    ") and (blank or not block))
        left_out = code or generated or not line.strip()
        if block and (left_out or re.match(r"\s*([-*]|\d+\.) |#|\|", line)):
            blocks.append(block)
            block = []
        blank = not line.strip() or (code and not fenced)
        if left_out:
            continue
        if line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            blocks += [[(number, cell)] for cell in cells]
            found.update((path, number, "a table cell of %d characters" % len(cell)) for cell in cells if len(cell) > LONGEST)
            continue
        if len(line) > LONGEST:
            found.add((path, number, "%d characters" % len(line)))
        block.append((number, re.sub(r"^\s*([-*] |\d+\. |#+ )", "", line).strip()))
    return blocks


def comments(path, text):
    """The comments of Java and TypeScript, or those after #, as blocks."""
    lines = text.splitlines()
    if path.endswith((".java", ".ts")):
        places = [(text.count("\n", 0, match.start()) + 1, match[1]) for match in COMMENT.finditer(text) if match[1]]
    else:
        places = [(n, m[1]) for n, line in enumerate(lines, 1) for m in [re.search(r"(?:^|\s)((?:#[^!]|\{\{-? /\*).*)", line)] if m]
    blocks = []
    for start, comment in places:
        blocks.append([])
        for number, line in enumerate(comment.splitlines(), start):
            if len(lines[number - 1]) > LONGEST:
                found.add((path, number, "%d characters" % len(lines[number - 1])))
            plain = re.sub(r"^\s*(/\*+|\*+/?|//+|#+)\s?|\*+/\s*$", "", line).strip()
            if re.match(r"@\w+|<(p|li|ul|pre)>|$", plain):
                blocks.append([])
            blocks[-1].append((number, re.sub(r"^(@param \S+|@return|<\w+>)\s*", "", plain)))
    return [block for block in blocks if block]


def literals(text):
    """The texts of a Java program, as blocks; parts that are joined by + are one text. A literal of one word is a name."""
    blocks = []
    for match in LITERALS.finditer(text):
        if match[1] and re.search(r"\w\s+\S|\S\s+\w", match[1]):
            start = text.count("\n", 0, match.start()) + 1
            lines = enumerate(match[1].replace('"""', "").splitlines(), start)
            blocks.append([(number, re.sub(r'^\s*(\+\s*)?"|"$', "", line)) for number, line in lines])
    return blocks


def words(path, blocks):
    for block in blocks:
        joined = " ".join(text for _, text in block)
        for name, better in CLASSES.items():
            if re.search(r"(`|\.|\{@link #?)%s(`|\}|#)" % name, joined):
                found.add((path, block[0][0], "%s: the glossary has %s" % (name, better)))
        prose = CODE.sub(lambda match: "¤" * len(match[0]), joined)
        for pattern, better in WORDS.items():
            if better == "no history" and path.startswith(HISTORY_MAY):
                continue
            for match in re.finditer(r"(?<![\w-])(?:%s)(?![\w-])" % pattern if "^" not in pattern else pattern, prose, re.I):
                line, at = block[0][0], 0
                for number, text in block:
                    line = number if at <= match.start() else line
                    at += len(text) + 1
                found.add((path, line, "“%s”: %s" % (match[0].strip(), better)))


def references(path, text, classes):
    """Links between the docs, classes that the docs name, and the glossary's terms."""
    for match in re.finditer(r"\]\((?!\w+:)([^)\s]*)\)|`([a-z]+)\.([A-Z]\w+)`", text):
        line = text.count("\n", 0, match.start()) + 1
        if match[3]:
            if os.path.isdir("src/main/java/dev/penstock/" + match[2]) and match[3] not in classes:
                found.add((path, line, "%s.%s is no class" % (match[2], match[3])))
            continue
        file, _, anchor = match[1].partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        text_there = open(target, encoding="utf-8").read() if target.endswith(".md") and os.path.isfile(target) else ""
        heads = re.findall(r"^#+ (.*)$", text_there, re.M)
        if not os.path.exists(target) or anchor not in [""] + [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads]:
            found.add((path, line, "a link to %s, which is not there" % match[1]))
    for term in TERMS if path == GLOSSARY else ():
        if len(re.findall(r"^\| \*\*%s\*\* \|" % term, text, re.M)) != 1:
            found.add((path, 1, "the glossary has not once: " + term))


def main(paths):
    classes = {name[:-5] for _, _, names in os.walk("src") for name in names if name.endswith(".java")}
    files = [os.path.normpath(path) for path in paths if os.path.isfile(path)]
    for path in paths:
        for folder, inner, names in os.walk(path):
            inner[:] = [name for name in inner if name not in SKIPPED]
            files += [os.path.normpath(os.path.join(folder, name)) for name in names]
    for path in files:
        if path.endswith((".md", ".java", ".ts") + HASH):
            text = open(path, encoding="utf-8").read()
            words(path, markdown(path, text) if path.endswith(".md") else comments(path, text))
            words(path, literals(text) if path.startswith("src/main/") and path.endswith(".java") else [])
            if path.endswith(".md"):
                references(path, text, classes)
    for path, line, what in sorted(found):
        print("%s:%d: %s" % (path, line, what))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ALL))
