"""How well quotes and signatures are told from what is new: the replies of the tests, by how they are written."""

import json
import time
from collections import Counter
from pathlib import Path

from shared.mime import new_text
from tests.replies.cases import cases

FIGURES = Path(".local/figures/replies.json")


def main() -> None:
    asked, right = Counter[str](), Counter[str]()
    seconds = 0.0
    for case in cases():
        message = case.message()
        started = time.process_time()
        new = new_text(message)
        seconds += time.process_time() - started
        for family in ("all", "text" if case.html is None else "html"):
            asked[family] += 1
            right[family] += new == case.new
    figures = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    figures |= {
        "replies": asked["all"],
        "accuracy": {family: round(right[family] / asked[family], 4) for family in asked},
        "milliseconds_per_reply": round(seconds / asked["all"] * 1_000, 3),
    }
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
