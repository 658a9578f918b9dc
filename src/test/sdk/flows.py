"""Runs the functions of a program one after the other. Prints a line for each one that passes."""

import os
import sys
import traceback

URL = os.environ["PENSTOCK_URL"]
WHOLE = os.environ["WHOLE_TEXT"]


def run(*flows):
    failed = False
    for flow in flows:
        try:
            flow()
            print("passed " + flow.__name__, flush=True)
        except Exception:
            failed = True
            print("FAILED " + flow.__name__, flush=True)
            traceback.print_exc()
    sys.exit(1 if failed else 0)


def expect(actual, expected):
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")
