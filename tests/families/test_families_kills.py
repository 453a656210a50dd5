"""Training killed twenty times at moments nobody chose: every run ends with the same bytes.

A process that has imported everything forks one training after another; each gets a random share
of CPU time, after which the kernel ends it on the spot: in a pass, in the optimizer, in the middle
of a checkpoint. So twenty kills cost twenty small models, not twenty imports of torch, and a slow
machine is killed at the same places as a quick one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS, UPDATES = 20, 48

SCRIPT = """\
import json, os, random, signal, sys
from pathlib import Path

import causal_builders as build
from honewheel import atomic
from honewheel.families.causal_lm import training

base, work, kills, updates = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
spec = build.spec(base, updates=int(updates), checkpoint_every=3, eval_every=1.0, patience=100)
data = build.dataset()


def attempt(run_dir, seconds):
    "How a training ends that gets so many seconds of CPU time (0: all it wants)."
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)  # its signal ends a process unheard
        for _ in training.train(spec, data, run_dir):
            pass
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run_dir(number):
    folder = work / str(number)
    folder.mkdir()
    return folder


calm = run_dir(0)
assert attempt(calm, 0) == 0
draw, killed, ends = random.Random(5), [], []
folder = run_dir(1)
while len(killed) < kills or not ends:
    code = attempt(folder, draw.uniform(0.05, 0.5) if len(killed) < kills else 0)
    if code == -signal.SIGVTALRM:
        killed.append(len(list((folder / "checkpoints").glob("step-*"))))
    else:
        assert code == 0, code
        ends.append(atomic.verify(folder / "final"))
        folder = run_dir(len(ends) + 1)
print(json.dumps({"calm": atomic.verify(calm / "final"), "killed": killed, "ends": ends}))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_at_random_moments_change_no_byte(llama: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", SCRIPT, str(llama), str(tmp_path), str(KILLS), str(UPDATES)]
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["killed"]) == KILLS
    assert max(found["killed"]) > 0  # some of them while there was something to lose
    assert set(found["ends"]) == {found["calm"]}
