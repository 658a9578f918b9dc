#!/usr/bin/env python3
"""osv.py SBOM: asks OSV (https://osv.dev) about every component of a CycloneDX file.

Ends with 1 where a component has a known vulnerability, with 0 where none has, or where OSV cannot be reached: then it says so.
"""
import json
import sys
import urllib.error
import urllib.request

API = "https://api.osv.dev/v1"
PAGE = 500
PATIENCE = 20


def ask(path, question=None):
    data = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(API + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def found(purls):
    """The ids of vulnerabilities, by component."""
    by_component = {}
    for start in range(0, len(purls), PAGE):
        page = purls[start : start + PAGE]
        answer = ask("/querybatch", {"queries": [{"package": {"purl": purl}} for purl in page]})
        for purl, result in zip(page, answer["results"]):
            ids = [vulnerability["id"] for vulnerability in result.get("vulns", [])]
            if ids:
                by_component[purl] = ids
    return by_component


def main(sbom):
    with open(sbom, encoding="utf-8") as file:
        components = json.load(file)["components"]
    # a qualifier such as ?type=jar is nothing that OSV knows
    purls = sorted({component["purl"].split("?")[0] for component in components if "purl" in component})
    print(f"{sbom}: {len(purls)} components")
    try:
        vulnerable = found(purls)
        for purl, ids in vulnerable.items():
            for id in ids:
                print(f"  {purl}: {id} {ask('/vulns/' + id).get('summary', '')}")
    except (urllib.error.URLError, TimeoutError, ConnectionError) as e:
        print(f"not checked: {API} cannot be reached from here ({getattr(e, 'reason', e)})")
        return 0
    print(f"{len(vulnerable)} of them have a known vulnerability")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
