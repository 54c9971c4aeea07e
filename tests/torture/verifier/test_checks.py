"""Every check has to be seen to fail: a small run that is in order, and each way in which it can be out of order.

python -m unittest discover -s tests/torture/verifier -t tests/torture
"""

from __future__ import annotations

import unittest

import duckdb

from verifier import checks

def good_run() -> duckdb.DuckDBPyConnection:
    """Three messages of two readings, the second reading of message 1 rejected; a fourth that is no delivery."""
    db = duckdb.connect()
    checks.create_tables(db)
    for o in range(3):
        db.execute(f"INSERT INTO acked VALUES (0, {o}, 'x{o}', 10, {o != 1})")
        db.execute(f"INSERT INTO raw VALUES (0, {o}, 'x{o}', 'm{o}', 10, 2)")
        for i in range(2):
            n = 2 * o + i
            db.execute(f"INSERT INTO raw_reading VALUES (0, {o}, {i}, 't', 'd', 'g', {o}, 'c', 'INTERVAL', {n}, {n * 7})")
            if (o, i) != (1, 1):
                for table in ("lake_reading", "wh_reading"):
                    db.execute(f"INSERT INTO {table} VALUES (0, {o}, 't', 'd', 'c', 'INTERVAL', {n}, {n * 7}, 1, '')")
    db.execute("INSERT INTO raw VALUES (0, 3, 'x3', 'm3', 4, NULL)")
    for table in ("lake_rejected", "wh_rejected"):
        db.execute(f"INSERT INTO {table} VALUES (0, 1, 1, 'NEGATIVE'), (0, 3, -1, 'TRUNCATED')")
    db.execute("INSERT INTO letter VALUES (0, 0, 1, 'm1'), (0, 1, 3, 'm3')")
    db.execute("INSERT INTO decision SELECT 0, o, o, true FROM range(4) t(o)")
    db.execute("INSERT INTO decision VALUES (0, 4, 2, true)")  # a re-emission: reported, and no problem
    db.execute("INSERT INTO landing SELECT p, o, md5 FROM raw")
    db.execute("INSERT INTO acked_http VALUES ('t', 'd', 'c', 'INTERVAL', 0, 0)")
    db.execute("INSERT INTO raw_reading VALUES (0, 2, 9, 't', 'probe', 'door', 5, 'c', 'GAUGE', 90, 1)")
    db.execute("UPDATE raw SET readings = 10 WHERE o = 2")
    db.execute("INSERT INTO lake_reading VALUES (0, 2, 't', 'probe', 'c', 'GAUGE', 90, 1, 1, '')")
    db.execute("INSERT INTO wh_reading VALUES (0, 2, 't', 'probe', 'c', 'GAUGE', 90, 1, 1, '')")
    db.execute("INSERT INTO door VALUES (5)")
    for table in ("alert_topic", "lake_alert", "wh_alert"):
        db.execute(f"INSERT INTO {table} VALUES (0, 0), (0, 1)")
    return db


# What is done to the run, and the check that has to notice; others may notice too.
DAMAGES = [
    ("DELETE FROM raw WHERE o = 2", "acknowledged_lost"),
    ("UPDATE raw SET xxh3 = 'other' WHERE o = 0", "acknowledged_lost"),
    ("INSERT INTO acked VALUES (0, -1, 'x1', 10, false)", "acknowledged_too_few"),
    ("UPDATE acked SET clean = true", "clean_rejected"),
    ("UPDATE acked_http SET value = 1", "acknowledged_http_lost"),
    ("DELETE FROM raw_reading WHERE gateway = 'door'", "acknowledged_door_lost"),
    ("DELETE FROM decision WHERE source = 3", "undecided"),
    ("UPDATE decision SET holds = false WHERE source = 3", "undecided"),
    ("INSERT INTO decision VALUES (0, 9, 17, true)", "decision_about_nothing"),
    ("UPDATE decision SET o = 100 WHERE o = 0", "decisions_out_of_order"),
    ("DELETE FROM lake_reading WHERE start = 0", "lost"),
    ("UPDATE lake_reading SET value = value + 1 WHERE start = 0", "lost"),
    ("UPDATE lake_reading SET value = value + 1 WHERE start = 0", "duplicated"),
    ("INSERT INTO lake_reading SELECT * FROM lake_reading WHERE start = 0", "duplicated"),
    ("INSERT INTO lake_reading VALUES (0, 1, 't', 'd', 'c', 'INTERVAL', 3, 21, 1, '')", "duplicated"),
    ("INSERT INTO lake_reading SELECT * FROM lake_reading WHERE start = 0", "same_fact_twice"),
    ("DELETE FROM lake_rejected WHERE o = 3", "garbage_accepted"),
    ("DELETE FROM lake_rejected WHERE o = 1", "lost"),
    ("INSERT INTO lake_rejected SELECT * FROM lake_rejected WHERE o = 3", "rejected_twice"),
    ("INSERT INTO lake_rejected VALUES (0, 17, -1, 'X')", "rejected_nothing"),
    ("INSERT INTO lake_rejected VALUES (0, 0, 2, 'X')", "rejected_nothing"),
    ("DELETE FROM letter WHERE source = 3", "dead_letter_missing"),
    ("UPDATE letter SET md5 = 'other' WHERE source = 3", "dead_letter_changed"),
    ("UPDATE letter SET md5 = 'other' WHERE source = 3", "dead_letter_missing"),
    ("DELETE FROM landing WHERE o = 3", "landing_lost"),
    ("UPDATE landing SET md5 = 'other' WHERE o = 3", "landing_lost"),
    ("INSERT INTO landing SELECT * FROM landing WHERE o = 3", "landing_duplicated"),
    ("DELETE FROM lake_alert WHERE o = 1", "alert_lost"),
    ("INSERT INTO lake_alert VALUES (0, 1)", "alert_duplicated"),
    ("DELETE FROM wh_reading WHERE start = 0", "warehouse_reading_lost"),
    ("UPDATE wh_reading SET version = 2 WHERE start = 0", "warehouse_reading_duplicated"),
    ("INSERT INTO wh_reading SELECT * FROM wh_reading WHERE start = 0", "warehouse_reading_duplicated"),
    ("DELETE FROM wh_rejected WHERE o = 3", "warehouse_rejected_lost"),
    ("INSERT INTO wh_rejected SELECT * FROM wh_rejected WHERE o = 3", "warehouse_rejected_duplicated"),
    ("DELETE FROM wh_alert WHERE o = 1", "warehouse_alert_lost"),
    ("INSERT INTO wh_alert VALUES (0, 1)", "warehouse_alert_duplicated"),
]


class Checks(unittest.TestCase):
    def test_a_run_in_order_has_no_problem(self) -> None:
        db = good_run()
        self.assertEqual(checks.run(db), [])
        counted = checks.counts(db)
        self.assertEqual((counted["re_emissions"], counted["lake_reading"], counted["rejected_messages"]), (1, 6, 1))

    def test_every_damage_is_noticed(self) -> None:
        for damage, name in DAMAGES:
            with self.subTest(damage=damage, check=name):
                db = good_run()
                db.execute(damage)
                self.assertIn(name, [problem["check"] for problem in checks.run(db)])

    def test_every_check_has_its_damage(self) -> None:
        self.assertEqual({check.name for check in checks.CHECKS}, {name for _, name in DAMAGES})

    def test_a_message_without_an_offset_is_found_by_its_bytes(self) -> None:
        db = good_run()
        db.execute("UPDATE acked SET o = -1 WHERE o = 1")
        self.assertEqual(checks.run(db), [])

    def test_what_validate_had_forgotten_may_come_again(self) -> None:
        db = good_run()
        db.execute("INSERT INTO raw VALUES (0, 4, 'x', 'm4', 1, 1)")
        db.execute("INSERT INTO raw_reading VALUES (0, 4, 0, 't', 'd', 'g', 9, 'c', 'INTERVAL', 0, 0)")
        db.execute("INSERT INTO decision VALUES (0, 5, 4, true)")
        db.execute("INSERT INTO landing VALUES (0, 4, 'm4')")
        for table in ("lake_reading", "wh_reading"):
            db.execute(f"INSERT INTO {table} VALUES (0, 4, 't', 'd', 'c', 'INTERVAL', 0, 0, 1, 'spike,duplicate')")
        self.assertEqual(checks.run(db), [])


if __name__ == "__main__":
    unittest.main()
