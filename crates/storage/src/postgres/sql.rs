//! Every statement that is sent to the database.
//!
//! They keep to what PostgreSQL, CockroachDB and YugabyteDB all take: no notifications, no advisory
//! locks, no triggers, no sequences, no temporary tables, no settings of a session, and no change
//! of a table inside a transaction. A test reads this file and refuses the rest.

use tokio_postgres::types::Type;

/// A statement with the types of its parameters, so that it can be sent without asking for them.
pub(super) struct Sql {
    pub(super) text: &'static str,
    pub(super) types: &'static [Type],
}

/// Opens a transaction. Nothing that waits, and nothing that was left behind, holds a lane for longer
/// than these bounds.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE; \
     SET LOCAL statement_timeout = '10s'; \
     SET LOCAL lock_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '5s'";
/// Makes what a transaction has done durable.
pub(super) const COMMIT: &str = "COMMIT";

/// Takes a lane for this transaction and tells who owns it and how far it is.
pub(super) static LOCK_LANE: Sql = Sql {
    text: "SELECT owner, groups, lines FROM strongroom.lanes WHERE lane = $1 FOR UPDATE",
    types: &[Type::INT2],
};
/// The versions of rows, each with the place of its key among those asked for. The limit makes the
/// database look for them one by one, also if it has made its plan while the table was empty.
pub(super) static VERSIONS: Sql = Sql {
    text: "SELECT asked.place, stored.version \
           FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS asked (tenant, key, place) \
           JOIN LATERAL (SELECT found.version FROM strongroom.rows AS found \
           WHERE found.tenant = asked.tenant AND found.key = asked.key LIMIT 1) AS stored ON true",
    types: &[Type::BYTEA_ARRAY, Type::BYTEA_ARRAY],
};
/// Writes rows over those that are there.
pub(super) static PUT: Sql = Sql {
    text: "INSERT INTO strongroom.rows (tenant, key, version, value) \
           SELECT put.tenant, put.key, put.version, put.value \
           FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bytea[]) \
           AS put (tenant, key, version, value) \
           ON CONFLICT (tenant, key) \
           DO UPDATE SET version = excluded.version, value = excluded.value",
    types: &[Type::BYTEA_ARRAY, Type::BYTEA_ARRAY, Type::INT8_ARRAY, Type::BYTEA_ARRAY],
};
/// Removes rows.
pub(super) static DELETE: Sql = Sql {
    text: "DELETE FROM strongroom.rows WHERE (tenant, key) IN \
           (SELECT gone.tenant, gone.key \
           FROM unnest($1::bytea[], $2::bytea[]) AS gone (tenant, key))",
    types: &[Type::BYTEA_ARRAY, Type::BYTEA_ARRAY],
};
/// Adds lines to a lane after those that it has.
pub(super) static ADD_LINES: Sql = Sql {
    text: "INSERT INTO strongroom.lines (lane, number, tenant, line) \
           SELECT $1, $2 + added.place, added.tenant, added.line \
           FROM unnest($3::bytea[], $4::bytea[]) WITH ORDINALITY AS added (tenant, line, place)",
    types: &[Type::INT2, Type::INT8, Type::BYTEA_ARRAY, Type::BYTEA_ARRAY],
};
/// Ends a group of a lane: its number shows afterwards whether it took place.
pub(super) static END_GROUP: Sql = Sql {
    text: "UPDATE strongroom.lanes SET groups = $2, lines = $3 WHERE lane = $1",
    types: &[Type::INT2, Type::INT8, Type::INT8],
};

/// Rows, each with the place of its key among those asked for; as [`VERSIONS`].
pub(super) static ROWS: Sql = Sql {
    text: "SELECT asked.place, stored.version, stored.value \
           FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS asked (tenant, key, place) \
           JOIN LATERAL (SELECT found.version, found.value FROM strongroom.rows AS found \
           WHERE found.tenant = asked.tenant AND found.key = asked.key LIMIT 1) AS stored ON true",
    types: &[Type::BYTEA_ARRAY, Type::BYTEA_ARRAY],
};
/// The first rows of a range that has no end.
pub(super) static SCAN_ON: Sql = Sql {
    text: "SELECT tenant, key, version, value FROM strongroom.rows \
           WHERE (tenant, key) >= ($1, $2) ORDER BY tenant, key LIMIT $3",
    types: &[Type::BYTEA, Type::BYTEA, Type::INT8],
};
/// The last rows of a range that has no end.
pub(super) static SCAN_ON_BACKWARDS: Sql = Sql {
    text: "SELECT tenant, key, version, value FROM strongroom.rows \
           WHERE (tenant, key) >= ($1, $2) ORDER BY tenant DESC, key DESC LIMIT $3",
    types: &[Type::BYTEA, Type::BYTEA, Type::INT8],
};
/// The first rows of a range.
pub(super) static SCAN: Sql = Sql {
    text: "SELECT tenant, key, version, value FROM strongroom.rows \
           WHERE (tenant, key) >= ($1, $2) AND (tenant, key) < ($4, $5) \
           ORDER BY tenant, key LIMIT $3",
    types: &[Type::BYTEA, Type::BYTEA, Type::INT8, Type::BYTEA, Type::BYTEA],
};
/// The last rows of a range.
pub(super) static SCAN_BACKWARDS: Sql = Sql {
    text: "SELECT tenant, key, version, value FROM strongroom.rows \
           WHERE (tenant, key) >= ($1, $2) AND (tenant, key) < ($4, $5) \
           ORDER BY tenant DESC, key DESC LIMIT $3",
    types: &[Type::BYTEA, Type::BYTEA, Type::INT8, Type::BYTEA, Type::BYTEA],
};
/// Lines of a lane after a number.
pub(super) static LINES: Sql = Sql {
    text: "SELECT number, line FROM strongroom.lines \
           WHERE lane = $1 AND number > $2 ORDER BY number LIMIT $3",
    types: &[Type::INT2, Type::INT8, Type::INT8],
};
/// Lines of a lane that belong to a tenant, after a number.
pub(super) static LINES_OF: Sql = Sql {
    text: "SELECT number, line FROM strongroom.lines \
           WHERE tenant = $4 AND lane = $1 AND number > $2 ORDER BY number LIMIT $3",
    types: &[Type::INT2, Type::INT8, Type::INT8, Type::BYTEA],
};

/// Takes a node number that nobody has used.
pub(super) static TAKE_NODE: Sql = Sql {
    text: "UPDATE strongroom.meta SET value = value + 1 WHERE name = 'next_node' \
           RETURNING value - 1",
    types: &[],
};

/// Who holds the store, and the last sign of life.
pub(super) static LEASE: Sql =
    Sql { text: "SELECT owner, held, beat FROM strongroom.lease WHERE id = 1", types: &[] };
/// The same, and keeps it as it is until the end of the transaction.
pub(super) static LOCK_LEASE: Sql = Sql {
    text: "SELECT owner, held, beat FROM strongroom.lease WHERE id = 1 FOR UPDATE",
    types: &[],
};
/// Makes somebody else the holder.
pub(super) static TAKE_LEASE: Sql = Sql {
    text: "UPDATE strongroom.lease SET owner = $1, held = true, beat = beat + 1 WHERE id = 1",
    types: &[Type::INT8],
};
/// Makes somebody else the owner of the lanes: waits for what their owner has under way, and
/// lets nothing of it come after.
pub(super) static TAKE_LANES: Sql =
    Sql { text: "UPDATE strongroom.lanes SET owner = $1", types: &[Type::INT8] };
/// A sign of life of the holder.
pub(super) static BEAT: Sql = Sql {
    text: "UPDATE strongroom.lease SET beat = beat + 1 WHERE id = 1 AND owner = $1 AND held",
    types: &[Type::INT8],
};
/// Gives the store back.
pub(super) static RELEASE: Sql = Sql {
    text: "UPDATE strongroom.lease SET held = false WHERE id = 1 AND owner = $1",
    types: &[Type::INT8],
};

/// Makes the tables, each step by itself and only if it is left to do.
pub(super) const TABLES: [&str; 7] = [
    "CREATE SCHEMA IF NOT EXISTS strongroom",
    "CREATE TABLE IF NOT EXISTS strongroom.meta (\
     name text PRIMARY KEY, value bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS strongroom.lease (\
     id smallint PRIMARY KEY, owner bigint NOT NULL, held boolean NOT NULL, beat bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS strongroom.lanes (\
     lane smallint PRIMARY KEY, owner bigint NOT NULL, groups bigint NOT NULL, \
     lines bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS strongroom.rows (\
     tenant bytea NOT NULL, key bytea NOT NULL, version bigint NOT NULL, value bytea NOT NULL, \
     PRIMARY KEY (tenant, key))",
    "CREATE TABLE IF NOT EXISTS strongroom.lines (\
     lane smallint NOT NULL, number bigint NOT NULL, tenant bytea NOT NULL, line bytea NOT NULL, \
     PRIMARY KEY (lane, number))",
    "CREATE INDEX IF NOT EXISTS lines_of_a_tenant ON strongroom.lines (tenant, lane, number)",
];
/// Fills the tables; the first of these refuses a second one who makes the same store.
pub(super) const FIRST_ROWS: [&str; 3] = [
    "INSERT INTO strongroom.meta (name, value) VALUES ('format', 1), ('next_node', 1)",
    "INSERT INTO strongroom.lease (id, owner, held, beat) VALUES (1, 0, false, 0)",
    "INSERT INTO strongroom.lanes (lane, owner, groups, lines) VALUES (1, 0, 0, 0), (2, 0, 0, 0)",
];
/// What the tables in the schema look like.
pub(super) static COLUMNS: Sql = Sql {
    text: "SELECT table_name::text, column_name::text, data_type::text \
           FROM information_schema.columns WHERE table_schema = 'strongroom' \
           ORDER BY table_name, column_name",
    types: &[],
};
/// The version of the tables.
pub(super) static FORMAT: Sql =
    Sql { text: "SELECT value FROM strongroom.meta WHERE name = 'format'", types: &[] };
/// Whether anything stands in the store: then some group took place, or somebody has opened it.
pub(super) static IS_USED: Sql = Sql {
    text: "SELECT EXISTS (SELECT 1 FROM strongroom.rows) \
           OR EXISTS (SELECT 1 FROM strongroom.lines) \
           OR EXISTS (SELECT 1 FROM strongroom.lease WHERE held)",
    types: &[],
};
/// Settings of the database on which it rests that what was acknowledged is durable; null where
/// there is no such setting.
pub(super) static SETTINGS: Sql = Sql {
    text: "SELECT current_setting('fsync', true), current_setting('synchronous_commit', true), \
           current_setting('full_page_writes', true)",
    types: &[],
};

#[cfg(test)]
mod tests {
    const STATEMENTS: &str = include_str!("sql.rs");

    /// Words that one of the three databases does not take, or takes as something else.
    const FOREIGN: [&str; 33] = [
        "listen",
        "notify",
        "unlisten",
        "advisory",
        "trigger",
        "temp",
        "temporary",
        "unlogged",
        "serial",
        "bigserial",
        "sequence",
        "nextval",
        "lock",
        "skip",
        "nowait",
        "copy",
        "ctid",
        "xmin",
        "xmax",
        "vacuum",
        "analyze",
        "cluster",
        "merge",
        "do",
        "call",
        "rule",
        "inherits",
        "tablespace",
        "cursor",
        "declare",
        "truncate",
        "session",
        "only",
    ];

    /// What stands in double quotes outside of the tests, words in lower case.
    fn statements(source: &str) -> Vec<String> {
        let code = source.split("#[cfg(test)]").next().unwrap();
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect();
        code.split('"')
            .skip(1)
            .step_by(2)
            .map(|text| text.replace("\\\n", " ").to_lowercase())
            .collect()
    }

    fn words(statement: &str) -> Vec<&str> {
        let letters = |letter: char| !letter.is_alphanumeric() && letter != '_';
        statement.split(letters).filter(|word| !word.is_empty()).collect()
    }

    /// Why a statement is refused.
    fn flaw(statement: &str) -> Option<String> {
        let words = words(statement);
        for (at, word) in words.iter().enumerate() {
            let is_upsert = *word == "do" && words.get(at + 1) == Some(&"update");
            if FOREIGN.contains(word) && !is_upsert {
                return Some(format!("`{word}`"));
            }
            if word.starts_with("pg_") {
                return Some(format!("`{word}` of a system table or function"));
            }
            if *word == "set" && words.first() != Some(&"update") {
                let next = words.get(at + 1).copied().unwrap_or_default();
                let is_upsert = words.get(at.wrapping_sub(1)) == Some(&"update");
                if next != "local" && !is_upsert {
                    return Some("a setting of the session".to_owned());
                }
            }
        }
        let tables = statement.split("strongroom.").count() > 1;
        let reads =
            ["from ", "into ", "update ", "table "].iter().any(|word| statement.contains(word));
        let is_plain = statement.contains("information_schema.") || statement.starts_with("begin");
        (reads && !tables && !is_plain).then(|| "a table without its schema".to_owned())
    }

    #[test]
    fn every_statement_is_one_that_other_databases_take() {
        let statements = statements(STATEMENTS);
        assert!(statements.len() > 30, "only {} statements were found", statements.len());
        assert!(statements.iter().any(|it| it.starts_with("insert into strongroom.rows")));
        for statement in &statements {
            assert_eq!(flaw(statement), None, "{statement}");
        }
    }

    #[test]
    fn what_other_databases_do_not_take_is_found() {
        for statement in [
            "listen changes",
            "select pg_advisory_lock(1)",
            "select advisory from strongroom.rows",
            "set statement_timeout = 5",
            "begin; set synchronous_commit = off",
            "create temp table strongroom.x (a int)",
            "select 1 from strongroom.rows for update skip locked",
            "select value from rows",
            "do $$ begin end $$",
            "create table strongroom.x (id bigserial)",
        ] {
            assert!(flaw(statement).is_some(), "{statement} is taken");
        }
    }

    #[test]
    fn no_other_file_of_the_engine_has_a_statement() {
        let others = [
            include_str!("address.rs"),
            include_str!("group.rs"),
            include_str!("lane.rs"),
            include_str!("lease.rs"),
            include_str!("link.rs"),
            include_str!("mod.rs"),
            include_str!("problem.rs"),
            include_str!("readers.rs"),
            include_str!("schema.rs"),
            include_str!("tls.rs"),
        ];
        for other in others {
            for statement in statements(other) {
                let first = words(&statement).first().copied().unwrap_or_default().to_owned();
                let verbs = [
                    "select", "insert", "update", "delete", "create", "alter", "drop", "begin",
                    "set",
                ];
                let is_statement = verbs.contains(&first.as_str()) && statement.contains(' ');
                assert!(!is_statement, "a statement outside of this file: {statement}");
            }
        }
    }
}
