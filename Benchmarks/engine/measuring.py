"""Running programs and summing up what they took."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


def say(text: str) -> None:
    print(f"benchmark: {text}", file=sys.stderr, flush=True)


@dataclass
class Finished:
    seconds: float
    peak_bytes: int  # largest resident set; never below what this script itself holds, about 15 MB
    output: str


def run(*arguments) -> Finished:
    """Runs a program to its end; a failure ends the benchmark with what the program said."""
    command = [str(a) for a in arguments]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:  # a file, so that neither stream waits for the other
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            errors.seek(0)
            sys.exit(f"benchmark: '{' '.join(command)}' ended with {child.returncode}:\n{output}{errors.read()}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Finished(seconds, usage.ru_maxrss * scale, output)


def directory_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


class Samples:
    """Values by name, one a round."""

    def __init__(self):
        self.values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float | None:
        return statistics.median(self.values[name]) if name in self.values else None

    def show(self, name: str, scale: float = 1, unit: str = "", digits: int = 1) -> str:
        """Median and range: "12.3 ms (11.9–14.0)"."""
        if name not in self.values:
            return "not measured"
        middle, low, high = (f(self.values[name]) * scale for f in (statistics.median, min, max))
        return f"{middle:.{digits}f}{unit} ({low:.{digits}f}–{high:.{digits}f})"

    def ratio(self, name: str, other: str, percent: bool = False) -> str:
        a, b = self.median(name), self.median(other)
        if not a or not b:
            return "–"
        return f"{100 * a / b:.0f}%" if percent else f"{a / b:.2f}×"

    def save(self, path: str) -> None:
        Path(path).write_text(json.dumps(self.values, indent=1) + "\n")
