-- The log and the ledger of one replica. Every row carries `sum`, a crc32 over its canonical bytes (see rows.py).

-- uuid, hard_state, base (index and term before the kept log), head (applied, digest, clock, members, ...)
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE log (
    idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, kind INTEGER NOT NULL, data BLOB NOT NULL, sum INTEGER NOT NULL);

-- The chain up to and with each applied entry; apart from the log, so that applying does not rewrite its rows.
CREATE TABLE digest (idx INTEGER PRIMARY KEY, digest BLOB NOT NULL, sum INTEGER NOT NULL);

CREATE TABLE product (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, price INTEGER NOT NULL, quantity INTEGER NOT NULL,
    topic TEXT NOT NULL, version INTEGER NOT NULL, volume INTEGER NOT NULL, sum INTEGER NOT NULL);

CREATE TABLE orders (
    number INTEGER PRIMARY KEY, side TEXT NOT NULL, status TEXT NOT NULL, at INTEGER NOT NULL, idx INTEGER NOT NULL,
    term INTEGER NOT NULL, changed INTEGER NOT NULL, key TEXT NOT NULL UNIQUE, lines TEXT NOT NULL,
    sum INTEGER NOT NULL);
CREATE INDEX orders_changed ON orders (changed);

CREATE TABLE outcome (
    idx INTEGER PRIMARY KEY, request_id TEXT NOT NULL, outcome TEXT NOT NULL, sum INTEGER NOT NULL);

CREATE TABLE change (
    idx INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, command TEXT NOT NULL, name TEXT NOT NULL,
    number INTEGER NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, delta INTEGER, sum INTEGER NOT NULL,
    PRIMARY KEY (idx, seq)) WITHOUT ROWID;

-- A whole batch is one INSERT into this view, so one statement and one transaction (see batch.py). The rows come as
-- JSON arrays of integers; every text among them is given by its place (from 1) and length in the blob `bytes`.
CREATE VIEW batch AS SELECT
    NULL AS log_from, NULL AS log_up_to, NULL AS forgotten, NULL AS bytes, NULL AS meta, NULL AS log, NULL AS digest,
    NULL AS product, NULL AS orders, NULL AS outcome, NULL AS change;

CREATE TRIGGER batch_write INSTEAD OF INSERT ON batch BEGIN
    DELETE FROM log WHERE idx >= NEW.log_from;
    DELETE FROM log WHERE idx <= NEW.log_up_to;
    DELETE FROM digest WHERE idx <= NEW.log_up_to;
    INSERT INTO log SELECT value ->> 0, value ->> 1, value ->> 2, substr(NEW.bytes, value ->> 3, value ->> 4), value ->> 5
        FROM json_each(NEW.log);
    INSERT INTO digest SELECT value ->> 0, substr(NEW.bytes, value ->> 1, value ->> 2), value ->> 3
        FROM json_each(NEW.digest);
    INSERT INTO product SELECT value ->> 0, CAST(substr(NEW.bytes, value ->> 1, value ->> 2) AS TEXT), value ->> 3,
        value ->> 4, CAST(substr(NEW.bytes, value ->> 5, value ->> 6) AS TEXT), value ->> 7, value ->> 8, value ->> 9
        FROM json_each(NEW.product) WHERE TRUE
        ON CONFLICT (number) DO UPDATE SET price = excluded.price, quantity = excluded.quantity,
        topic = excluded.topic, version = excluded.version, volume = excluded.volume, sum = excluded.sum;
    INSERT INTO orders SELECT value ->> 0, iif(value ->> 1, 'buy', 'sell'), iif(value ->> 2, 'placed', 'cancelled'),
        value ->> 3, value ->> 4, value ->> 5, value ->> 6, CAST(substr(NEW.bytes, value ->> 7, value ->> 8) AS TEXT),
        CAST(substr(NEW.bytes, value ->> 9, value ->> 10) AS TEXT), value ->> 11
        FROM json_each(NEW.orders) WHERE TRUE
        ON CONFLICT (number) DO UPDATE SET status = excluded.status, changed = excluded.changed, sum = excluded.sum;
    INSERT INTO outcome SELECT value ->> 0, CAST(substr(NEW.bytes, value ->> 1, value ->> 2) AS TEXT),
        CAST(substr(NEW.bytes, value ->> 3, value ->> 4) AS TEXT), value ->> 5
        FROM json_each(NEW.outcome) WHERE TRUE
        ON CONFLICT (idx) DO UPDATE SET request_id = excluded.request_id, outcome = excluded.outcome, sum = excluded.sum;
    DELETE FROM outcome WHERE idx <= NEW.forgotten;
    INSERT INTO change SELECT value ->> 0, value ->> 1, value ->> 2,
        CAST(substr(NEW.bytes, value ->> 3, value ->> 4) AS TEXT),
        CAST(substr(NEW.bytes, value ->> 5, value ->> 6) AS TEXT), value ->> 7,
        CAST(substr(NEW.bytes, value ->> 8, value ->> 9) AS TEXT),
        CAST(substr(NEW.bytes, value ->> 10, value ->> 11) AS TEXT), value ->> 12, value ->> 13
        FROM json_each(NEW.change) WHERE TRUE
        ON CONFLICT (idx, seq) DO UPDATE SET value = excluded.value, sum = excluded.sum;
    INSERT INTO meta SELECT CAST(substr(NEW.bytes, value ->> 0, value ->> 1) AS TEXT),
        CAST(substr(NEW.bytes, value ->> 2, value ->> 3) AS TEXT), value ->> 4
        FROM json_each(NEW.meta) WHERE TRUE
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum;
END;
