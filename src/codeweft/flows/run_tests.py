"""Runs inside the sandbox: `run_tests.py MODULE` runs the tests of tests.py on the code of MODULE.py.

Tests are asserts, functions called test…, unittest's cases, or pytest's where it is installed. The last line says
how many passed, so that code which leaves early is not taken for code that passed.
"""

import asyncio
import importlib
import inspect
import re
import runpy
import sys
import traceback
import unittest
from pathlib import Path

NAME, DONE = sys.argv[1], sys.argv[2]
sys.path.insert(0, ".")
module = importlib.import_module(NAME)
sys.modules.setdefault("solution", module)

if re.search(r"^\s*(?:import|from)\s+pytest\b", Path("tests.py").read_text(), re.M):
    import pytest

    class Count:
        passed = 0

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            self.passed += report.when == "call" and report.passed

    count = Count()
    for name, value in vars(module).items():
        if not name.startswith("__"):
            __builtins__.__dict__.setdefault(name, value)
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--tb=short", "tests.py"], plugins=[count])
    if code == 0 and count.passed:
        print(DONE, count.passed)
    sys.exit(int(code))

given = {name: value for name, value in vars(module).items() if not name.startswith("__")}
found = runpy.run_path("tests.py", init_globals=given, run_name="tests")
passed = failed = 0
for name, value in found.items():
    if inspect.isclass(value) and issubclass(value, unittest.TestCase):
        result = unittest.TextTestRunner(stream=sys.stdout).run(
            unittest.TestLoader().loadTestsFromTestCase(value)
        )
        wrong = len(result.failures) + len(result.errors)
        passed, failed = passed + result.testsRun - wrong, failed + wrong
    elif name.startswith("test") and inspect.isfunction(value) and name not in given:
        try:
            answer = value()
            if inspect.iscoroutine(answer):
                asyncio.run(answer)
            passed += 1
        except Exception:
            failed += 1
            traceback.print_exc(file=sys.stdout)
if failed:
    print(f"{failed} of {failed + passed} tests fail.")
    sys.exit(1)
print(DONE, passed)
