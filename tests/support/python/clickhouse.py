"""Runs statements in the engine of ClickHouse: clickhouse.py FOLDER, where FOLDER has the package chdb_core.

Reads {"statements": [...], "lines": "..."} from stdin. The lines are inserted once the first view exists that counts them. Prints a
JSON array with the rows of each statement that gives any.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
from chdb import session  # noqa: E402

INSERT = (
    "INSERT INTO tlscope.lines SETTINGS date_time_input_format = 'best_effort', input_format_skip_unknown_fields = 1 "
    "FORMAT JSONEachRow "
)

job = json.load(sys.stdin)
database = session.Session()
results = []
for statement in job["statements"]:
    result = database.query(statement, "JSONCompact").bytes()
    if statement.startswith("CREATE MATERIALIZED VIEW"):
        database.query(INSERT + job["lines"])
    if statement.startswith("SELECT"):
        results.append(json.loads(result)["data"])
print(json.dumps(results))
