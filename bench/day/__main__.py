"""Replays a day in Polaris's environment, whose database must be empty; prints JSON at its end.

python -m bench.day SCHEDULES SETTLERS SEED
"""

import json
import sys

import django

django.setup()

from bench.day.simulation import simulate  # noqa: E402

if __name__ == "__main__":
    say = lambda line: print(line, flush=True)  # noqa: E731
    schedules, settlers, seed = map(int, sys.argv[1:4])
    print(json.dumps(simulate(schedules, settlers=settlers, seed=seed, tell=say)))
