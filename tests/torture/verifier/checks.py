"""What must hold between the tables of a run. Pure SQL over DuckDB; who fills the tables is another matter.

Tables (all of one run):
  acked       (p, o, xxh3, bytes, clean)           what Kafka acknowledged to the producer; clean: without a fault of its device
  acked_http  (tenant, device, channel, kind, start, value)   readings whose request was answered with success
  door        (sequence)                           deliveries of the door's visitor that were answered with success
  raw         (p, o, xxh3, md5, bytes, readings)   messages of the raw topic; readings is NULL where it is no delivery
  raw_reading (p, o, i, tenant, device, gateway, sequence, channel, kind, start, value)
  decision    (p, o, source, holds)                messages of the validated topic; `holds` where they were to lie
  letter      (p, o, source, md5)                  dead letters of raw messages
  alert_topic (p, o)                               messages of the alerts topic
  lake_reading, wh_reading   (p, o, tenant, device, channel, kind, start, value, version, skipped)
  lake_rejected, wh_rejected (p, o, i, code)
  landing     (p, o, md5)
  lake_alert, wh_alert       (p, o)
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

SCHEMA = {
    "acked": "p INT, o BIGINT, xxh3 VARCHAR, bytes BIGINT, clean BOOLEAN",
    "acked_http": "tenant VARCHAR, device VARCHAR, channel VARCHAR, kind VARCHAR, start BIGINT, value BIGINT",
    "door": "sequence BIGINT",
    "raw": "p INT, o BIGINT, xxh3 VARCHAR, md5 VARCHAR, bytes BIGINT, readings INT",
    "raw_reading": "p INT, o BIGINT, i INT, tenant VARCHAR, device VARCHAR, gateway VARCHAR, sequence BIGINT, channel VARCHAR, "
    "kind VARCHAR, start BIGINT, value BIGINT",
    "decision": "p INT, o BIGINT, source BIGINT, holds BOOLEAN",
    "letter": "p INT, o BIGINT, source BIGINT, md5 VARCHAR",
    "alert_topic": "p INT, o BIGINT",
    "lake_reading": "p INT, o BIGINT, tenant VARCHAR, device VARCHAR, channel VARCHAR, kind VARCHAR, start BIGINT, value BIGINT, "
    "version INT, skipped VARCHAR",
    "lake_rejected": "p INT, o BIGINT, i INT, code VARCHAR",
    "landing": "p INT, o BIGINT, md5 VARCHAR",
    "lake_alert": "p INT, o BIGINT",
}
SCHEMA |= {"wh_reading": SCHEMA["lake_reading"], "wh_rejected": SCHEMA["lake_rejected"], "wh_alert": SCHEMA["lake_alert"]}

# A row of the lake by what it says and where it comes from.
_IDENTITY = "p, o, tenant, device, channel, kind, start, value"
# What the lake has to hold: every reading of every message, but those that the rejected table names, by their index or, with
# -1, with their whole message.
_EXPECTED = f"""SELECT {_IDENTITY} FROM raw_reading
    ANTI JOIN (SELECT p, o FROM lake_rejected WHERE i = -1) USING (p, o)
    ANTI JOIN (SELECT p, o, i FROM lake_rejected) USING (p, o, i)"""


@dataclass(frozen=True)
class Check:
    """One thing that must not be found."""

    name: str
    # What a row of the query means, for whoever reads the report.
    means: str
    query: str


CHECKS = [
    Check(
        "acknowledged_lost",
        "Kafka acknowledged the message, and it is not in the topic with these bytes",
        "SELECT a.p, a.o FROM acked a LEFT JOIN raw r USING (p, o) WHERE a.o >= 0 AND (r.p IS NULL "
        "OR (a.xxh3 IS NOT NULL AND r.xxh3 IS NOT NULL AND a.xxh3 <> r.xxh3) OR a.bytes <> r.bytes)",
    ),
    # Kafka does not say where a message lies that it recognised as one it had: then only its bytes can be looked for.
    Check(
        "acknowledged_too_few",
        "Kafka acknowledged messages of these bytes more often than the partition holds them",
        "SELECT p, xxh3 FROM acked WHERE xxh3 IS NOT NULL AND bytes > 0 EXCEPT ALL SELECT p, xxh3 FROM raw",
    ),
    Check(
        "clean_rejected",
        "nothing was wrong with the message, and something of it was rejected",
        "SELECT a.p, a.o, x.i, x.code FROM acked a JOIN lake_rejected x USING (p, o) WHERE a.clean",
    ),
    Check(
        "acknowledged_http_lost",
        "the door answered success, and the reading is in no message",
        "SELECT DISTINCT a.* FROM acked_http a ANTI JOIN raw_reading USING (tenant, device, channel, kind, start, value)",
    ),
    Check(
        "acknowledged_door_lost",
        "the door answered success to its visitor, and the delivery is in no message",
        "SELECT sequence FROM door ANTI JOIN (SELECT sequence FROM raw_reading WHERE gateway = 'door') USING (sequence)",
    ),
    Check(
        "undecided",
        "no decision names the message",
        "SELECT p, o FROM raw ANTI JOIN (SELECT p, source AS o FROM decision WHERE holds) USING (p, o)",
    ),
    Check(
        "decision_about_nothing",
        "a decision names a message that does not exist",
        "SELECT p, o, source FROM (FROM decision WHERE holds) d ANTI JOIN raw r ON d.p = r.p AND d.source = r.o",
    ),
    Check(
        "decisions_out_of_order",
        "the first decisions do not follow the messages without a hole",
        """SELECT p, source, before FROM (
            SELECT p, source, lag(source) OVER (PARTITION BY p ORDER BY o) AS before
            FROM (SELECT p, source, min(o) AS o FROM decision WHERE holds GROUP BY p, source)
        ) WHERE source <> coalesce(before + 1, 0)""",
    ),
    Check(
        "lost",
        "a reading is neither in the lake nor rejected",
        f"{_EXPECTED} EXCEPT ALL SELECT {_IDENTITY} FROM lake_reading",
    ),
    Check(
        "duplicated",
        "a row of the lake that no message gives, or that is there more often than it was delivered",
        f"SELECT {_IDENTITY} FROM lake_reading EXCEPT ALL ({_EXPECTED})",
    ),
    Check(
        "same_fact_twice",
        "one reading with one value stands in the lake twice, although its history was known",
        "SELECT tenant, device, channel, kind, start, value, count(*) AS times FROM lake_reading "
        "WHERE skipped NOT LIKE '%duplicate%' GROUP BY ALL HAVING count(*) > 1",
    ),
    Check(
        "garbage_accepted",
        "the message is no delivery, and was not rejected whole",
        "SELECT p, o FROM raw WHERE readings IS NULL AND NOT EXISTS "
        "(SELECT 1 FROM lake_rejected x WHERE x.p = raw.p AND x.o = raw.o AND x.i = -1)",
    ),
    Check(
        "rejected_twice",
        "one rejection stands in the lake twice",
        "SELECT p, o, i, count(*) AS times FROM lake_rejected GROUP BY ALL HAVING count(*) > 1",
    ),
    Check(
        "rejected_nothing",
        "a rejection names no message, or no reading of it",
        "SELECT x.p, x.o, x.i FROM lake_rejected x LEFT JOIN raw r USING (p, o) "
        "WHERE r.p IS NULL OR x.i < -1 OR x.i >= coalesce(r.readings, 0)",
    ),
    Check(
        "dead_letter_missing",
        "something of the message was rejected, and there is no copy of its bytes",
        "SELECT DISTINCT x.p, x.o, r.md5 FROM lake_rejected x JOIN raw r USING (p, o) "
        "ANTI JOIN (SELECT p, source AS o, md5 FROM letter) l ON x.p = l.p AND x.o = l.o AND r.md5 IS NOT DISTINCT FROM l.md5",
    ),
    Check(
        "dead_letter_changed",
        "the copy is not the message",
        "SELECT l.p, l.source FROM letter l LEFT JOIN raw r ON l.p = r.p AND l.source = r.o WHERE l.md5 IS DISTINCT FROM r.md5",
    ),
    Check(
        "landing_lost",
        "the message is not in the landing table with its bytes",
        "SELECT p, o, md5 FROM raw EXCEPT ALL SELECT p, o, md5 FROM landing",
    ),
    Check(
        "landing_duplicated",
        "a row of the landing table that is no message, or there twice",
        "SELECT p, o, md5 FROM landing EXCEPT ALL SELECT p, o, md5 FROM raw",
    ),
    Check("alert_lost", "an alert is not in the lake", "SELECT p, o FROM alert_topic EXCEPT ALL SELECT p, o FROM lake_alert"),
    Check("alert_duplicated", "an alert is in the lake twice", "SELECT p, o FROM lake_alert EXCEPT ALL SELECT p, o FROM alert_topic"),
] + [
    Check(f"warehouse_{what}_{side}", f"{means} ({what})", f"SELECT {columns} FROM {left} EXCEPT ALL SELECT {columns} FROM {right}")
    for what, columns in [("reading", _IDENTITY + ", version"), ("rejected", "p, o, i, code"), ("alert", "p, o")]
    for side, means, left, right in [
        ("lost", "the lake has the row and the warehouse has not", f"lake_{what}", f"wh_{what}"),
        ("duplicated", "the warehouse has a row that the lake has not, or not so often", f"wh_{what}", f"lake_{what}"),
    ]
]

EXAMPLES = 5


def create_tables(db: duckdb.DuckDBPyConnection) -> None:
    """Empty tables, for whoever fills them row by row."""
    for name, columns in SCHEMA.items():
        db.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")


def run(db: duckdb.DuckDBPyConnection) -> list[dict]:
    """What does not hold: per check the number of rows, what they mean, and a few of them."""
    problems = []
    for check in CHECKS:
        db.execute(f"CREATE OR REPLACE TEMP TABLE found AS ({check.query})")
        count = db.execute("SELECT count(*) FROM found").fetchone()[0]
        if count:
            rows = db.execute(f"SELECT * FROM found LIMIT {EXAMPLES}").fetchall()
            examples = [[str(value) for value in row] for row in rows]
            problems.append({"check": check.name, "means": check.means, "count": count, "examples": examples})
    return problems


def counts(db: duckdb.DuckDBPyConnection) -> dict:
    """How much was compared; a comparison of nothing with nothing shows nothing."""
    one = lambda query: db.execute(query).fetchone()[0]  # noqa: E731
    return {name: one(f"SELECT count(*) FROM {name}") for name in SCHEMA} | {
        "re_emissions": one("SELECT count(*) - count(DISTINCT (p, source)) FROM decision"),
        "repeated_dead_letters": one("SELECT count(*) - count(DISTINCT (p, source)) FROM letter"),
        "rejected_messages": one("SELECT count(*) FROM lake_rejected WHERE i = -1"),
        "poison_codes": dict(db.execute("SELECT code, count(*) FROM lake_rejected GROUP BY code ORDER BY code").fetchall()),
    }
