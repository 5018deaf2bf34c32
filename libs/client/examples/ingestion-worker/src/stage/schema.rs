//! The tables and every statement on them.

pub(super) const CREATE: &str = "
CREATE TABLE IF NOT EXISTS uploads (
    upload TEXT NOT NULL PRIMARY KEY,
    rows INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS staging (
    upload TEXT NOT NULL,
    row INTEGER NOT NULL,
    date TEXT NOT NULL,
    campaign TEXT NOT NULL,
    ad_group TEXT NOT NULL,
    impressions INTEGER NOT NULL CHECK (impressions >= 0),
    clicks INTEGER NOT NULL CHECK (clicks >= 0),
    spend_micros INTEGER NOT NULL CHECK (spend_micros >= 0),
    conversions_micros INTEGER NOT NULL CHECK (conversions_micros >= 0),
    PRIMARY KEY (upload, row)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    upload TEXT NOT NULL,
    date TEXT NOT NULL,
    campaign TEXT NOT NULL,
    impressions INTEGER NOT NULL,
    clicks INTEGER NOT NULL,
    spend_micros INTEGER NOT NULL,
    conversions_micros INTEGER NOT NULL,
    PRIMARY KEY (upload, date, campaign)
) STRICT, WITHOUT ROWID;";

pub(super) const STAGE: &str = "INSERT INTO staging VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

pub(super) const UNSTAGE: &str = "DELETE FROM staging WHERE upload = ?1";

pub(super) const AGGREGATE: &str = "
INSERT INTO results
SELECT upload, date, campaign, sum(impressions), sum(clicks), sum(spend_micros),
       sum(conversions_micros)
FROM staging WHERE upload = ?1 GROUP BY upload, date, campaign";

pub(super) const CLEAR_RESULTS: &str = "DELETE FROM results WHERE upload = ?1";

pub(super) const INSERT_RESULT: &str = "INSERT INTO results VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

pub(super) const MARK_COMMITTED: &str =
    "INSERT INTO uploads VALUES (?1, ?2) ON CONFLICT (upload) DO NOTHING";

pub(super) const COMMITTED_ROWS: &str = "SELECT rows FROM uploads WHERE upload = ?1";

pub(super) const BACKLOG: &str = "SELECT count(*) FROM staging";

pub(super) const RESULTS: &str = "
SELECT date, campaign, impressions, clicks, spend_micros, conversions_micros
FROM results WHERE upload = ?1 ORDER BY date, campaign";

pub(super) const TOTALS: &str = "
SELECT count(*), coalesce(sum(impressions), 0), coalesce(sum(clicks), 0),
       coalesce(sum(spend_micros), 0), coalesce(sum(conversions_micros), 0)
FROM results WHERE upload = ?1";

pub(super) const IS_OUTAGE: &str =
    "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = 'staging_away'";

pub(super) const BEGIN_OUTAGE: &str = "ALTER TABLE staging RENAME TO staging_away";

pub(super) const END_OUTAGE: &str = "ALTER TABLE staging_away RENAME TO staging";
