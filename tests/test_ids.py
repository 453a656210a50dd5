from __future__ import annotations

import re
import time

from honewheel import ids


def test_ids_are_ulids_that_sort_by_time() -> None:
    before = time.time_ns() // 1_000_000
    first = ids.ulid()
    time.sleep(0.003)
    later = [ids.ulid() for _ in range(1_000)]
    assert all(re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", one) for one in (first, *later))
    assert len(set(later)) == 1_000
    assert all(first < one for one in later)
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    told = 0
    for letter in first[:10]:
        told = 32 * told + alphabet.index(letter)
    assert before <= told <= time.time_ns() // 1_000_000
