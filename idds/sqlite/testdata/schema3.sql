BEGIN TRANSACTION;
CREATE TABLE actor (namespace TEXT, duty TEXT, sender TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, duty, sender)) WITHOUT ROWID;
CREATE TABLE histogram (namespace TEXT, run TEXT, doc TEXT NOT NULL, PRIMARY KEY (namespace, run)) WITHOUT ROWID;
CREATE TABLE name (name TEXT NOT NULL);
INSERT INTO "name" VALUES('w2nmxkq3');
CREATE TABLE request (
  namespace TEXT, run TEXT, created_at INTEGER, identity TEXT, PRIMARY KEY (namespace, run, created_at, identity)) WITHOUT ROWID;
INSERT INTO "request" VALUES('default','100001',1793534400000000,'slice-b');
CREATE TABLE run (namespace TEXT, run TEXT, open INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (namespace, run)) WITHOUT ROWID;
INSERT INTO "run" VALUES('default','100001',1,'{"run_id":"100001","state":"open","opened_at":"2026-11-01T12:00:00Z","ended_at":"0001-01-01T00:00:00Z","closed_at":"0001-01-01T00:00:00Z","last_slice_at":"2026-11-01T12:00:00Z","end_created_at":null,"total_slices":null,"workers":0,"published":2,"done":1,"failed":0,"retried":0,"absorbed":0,"corrected":0,"unmatched":0,"unexplained":0,"unmerged":0,"counts":{}}');
CREATE TABLE slice (
  id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, run TEXT NOT NULL, identity TEXT NOT NULL, state TEXT NOT NULL, filename TEXT NOT NULL,
  created INTEGER NOT NULL, stf INTEGER NOT NULL, finished INTEGER NOT NULL, due INTEGER NOT NULL, doc TEXT NOT NULL, message TEXT NOT NULL);
INSERT INTO "slice" VALUES(1,'default','100001','slice-a','done','f.stf',1793534400000000,0,1793534401000000,0,'{"state":"done","filename":"f.stf","tf_filename":"","slice_id":0,"start":0,"end":65,"created_at":"2026-11-01T12:00:00Z","stf_at":"0001-01-01T00:00:00Z","finished_at":"2026-11-01T12:00:01Z","retry_at":"0001-01-01T00:00:00Z","attempts":[{"attempt":1,"state":"done","created_at":"2026-11-01T12:00:00Z","pilot_id":"p1","finished_at":"2026-11-01T12:00:01Z"}]}','{"msg_type":"slice","run_id":"100001","created_at":"2026-11-01T12:00:00.000000Z","namespace":"default","content":{"req_id":"slice-a","filename":"f.stf","start":0,"end":65}}');
INSERT INTO "slice" VALUES(2,'default','100001','slice-b','outstanding','f.stf',1793534400000000,0,0,0,'{"state":"outstanding","filename":"f.stf","tf_filename":"","slice_id":0,"start":0,"end":65,"created_at":"2026-11-01T12:00:00Z","stf_at":"0001-01-01T00:00:00Z","finished_at":"0001-01-01T00:00:00Z","retry_at":"0001-01-01T00:00:00Z","attempts":[{"attempt":1,"state":"sent","created_at":"2026-11-01T12:00:00Z"}]}','{"msg_type":"slice","run_id":"100001","created_at":"2026-11-01T12:00:00.000000Z","namespace":"default","content":{"req_id":"slice-b","filename":"f.stf","start":0,"end":65}}');
CREATE TABLE worker (pilot TEXT PRIMARY KEY, namespace TEXT NOT NULL, seen INTEGER NOT NULL, doc TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX run_open ON run (namespace, run) WHERE open;
CREATE UNIQUE INDEX slice_key ON slice (namespace, run, identity);
CREATE INDEX slice_open ON slice (namespace, run, state, identity) WHERE state <> 'done';
CREATE INDEX slice_due ON slice (due) WHERE due > 0;
COMMIT;
PRAGMA user_version = 3;
