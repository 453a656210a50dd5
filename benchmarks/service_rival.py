"""What a team writes first: a FastAPI endpoint that validates a row and inserts it.

uvicorn service_rival:app, with the database in the variable RIVAL_DB. One commit a
row, with the same durability as ours: WAL and synchronous=FULL.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    task: str
    prompt: str
    output: str
    thumb: int | None = None
    correction: str | None = None
    source: str = "unknown"


app = FastAPI()
_lock = threading.Lock()
_db = sqlite3.connect(os.environ["RIVAL_DB"], isolation_level=None, check_same_thread=False)
_db.execute("PRAGMA journal_mode = WAL")
_db.execute("PRAGMA synchronous = FULL")
_db.execute(
    "CREATE TABLE IF NOT EXISTS feedback (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, task TEXT,"
    " prompt TEXT, output TEXT, thumb INTEGER, correction TEXT, source TEXT)"
)


@app.post("/v1/feedback", status_code=202)
def feedback(row: Row) -> dict[str, str]:
    name = uuid.uuid4().hex
    values = (name, *row.model_dump().values())
    with _lock:
        _db.execute(
            "INSERT INTO feedback (id, task, prompt, output, thumb, correction, source)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )
    return {"id": name}
