//! The tables of the store: making them, and finding out whether they are ours.

use super::link::{Link, in_time};
use super::problem::{DatabaseProblem, LinkError};
use super::sql;

/// The format of the tables.
const FORMAT_VERSION: i64 = 1;
/// Tables, their columns, and what the columns hold, by name.
const COLUMNS: [[&str; 3]; 18] = [
    ["lanes", "groups", "bigint"],
    ["lanes", "lane", "smallint"],
    ["lanes", "lines", "bigint"],
    ["lanes", "owner", "bigint"],
    ["lease", "beat", "bigint"],
    ["lease", "held", "boolean"],
    ["lease", "id", "smallint"],
    ["lease", "owner", "bigint"],
    ["lines", "lane", "smallint"],
    ["lines", "line", "bytea"],
    ["lines", "number", "bigint"],
    ["lines", "tenant", "bytea"],
    ["meta", "name", "text"],
    ["meta", "value", "bigint"],
    ["rows", "key", "bytea"],
    ["rows", "tenant", "bytea"],
    ["rows", "value", "bytea"],
    ["rows", "version", "bigint"],
];
/// The settings on which durability rests, in the order in which they are asked for.
const SETTINGS: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// What is in the schema.
enum Found {
    Nothing,
    /// Tables, but not all, as a creation leaves them that was cut short.
    Unfinished,
    Store,
}

/// Makes a store where there is none. One that was made and never used is made again.
pub(super) async fn create(link: &Link) -> Result<(), DatabaseProblem> {
    check_settings(link).await?;
    match find(link).await? {
        Found::Nothing | Found::Unfinished => {}
        Found::Store if is_used(link).await? => return Err(DatabaseProblem::Occupied),
        Found::Store => return Ok(()),
    }
    for step in sql::TABLES {
        in_time(link.run(step)).await.map_err(LinkError::problem)?;
    }
    fill(link).await.map_err(|error| match &error {
        LinkError::Database(said)
            if said.code() == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION) =>
        {
            DatabaseProblem::Occupied
        }
        LinkError::Database(_) | LinkError::Late | LinkError::Problem(_) => error.problem(),
    })
}

/// Whether a store of this version is there.
pub(super) async fn check(link: &Link) -> Result<(), DatabaseProblem> {
    check_settings(link).await?;
    match find(link).await? {
        Found::Nothing | Found::Unfinished => Err(DatabaseProblem::Missing),
        Found::Store => Ok(()),
    }
}

/// What is answered where a row of our own tables is missing.
pub(super) fn damaged() -> DatabaseProblem {
    DatabaseProblem::Other("rows of the tables in the schema `strongroom` are missing".to_owned())
}

async fn fill(link: &Link) -> Result<(), LinkError> {
    in_time(link.run(sql::BEGIN)).await?;
    for step in sql::FIRST_ROWS {
        in_time(link.run(step)).await?;
    }
    in_time(link.run(sql::COMMIT)).await
}

async fn find(link: &Link) -> Result<Found, DatabaseProblem> {
    let columns = columns(link).await?;
    if columns.is_empty() {
        return Ok(Found::Nothing);
    }
    let is_ours = |column: &[String; 3]| COLUMNS.iter().any(|ours| column == ours);
    let has_meta = COLUMNS.iter().filter(|ours| ours[0] == "meta");
    let has_meta = has_meta.into_iter().all(|ours| columns.iter().any(|column| column == ours));
    // Tables of another version may look different, and say which version they are of.
    let format = if has_meta { format(link).await? } else { None };
    if let Some(found) = format.filter(|found| *found != FORMAT_VERSION) {
        return Err(DatabaseProblem::Version { found, known: FORMAT_VERSION });
    }
    if let Some([table, column, _]) = columns.iter().find(|column| !is_ours(column)) {
        return Err(DatabaseProblem::Foreign(format!("the column `{column}` of `{table}`")));
    }
    match format {
        None => Ok(Found::Unfinished),
        Some(_) if columns.len() < COLUMNS.len() => {
            Err(DatabaseProblem::Foreign("a table is missing".to_owned()))
        }
        Some(_) => Ok(Found::Store),
    }
}

async fn is_used(link: &Link) -> Result<bool, DatabaseProblem> {
    let rows = in_time(link.query(&sql::IS_USED, &[])).await.map_err(LinkError::problem)?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(true))
}

async fn columns(link: &Link) -> Result<Vec<[String; 3]>, DatabaseProblem> {
    let rows = in_time(link.query(&sql::COLUMNS, &[])).await.map_err(LinkError::problem)?;
    let column =
        |row: &tokio_postgres::Row| Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?]);
    let columns: Result<Vec<_>, tokio_postgres::Error> = rows.iter().map(column).collect();
    columns.map_err(|error| LinkError::from(error).problem())
}

async fn format(link: &Link) -> Result<Option<i64>, DatabaseProblem> {
    let rows = in_time(link.query(&sql::FORMAT, &[])).await.map_err(LinkError::problem)?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}

/// What was acknowledged must be durable, so the settings that would undo that are refused.
async fn check_settings(link: &Link) -> Result<(), DatabaseProblem> {
    let rows = in_time(link.query(&sql::SETTINGS, &[])).await.map_err(LinkError::problem)?;
    for (at, setting) in SETTINGS.into_iter().enumerate() {
        let value = rows.first().and_then(|row| row.try_get::<_, Option<&str>>(at).ok()).flatten();
        if value == Some("off") {
            return Err(DatabaseProblem::NotDurable(setting));
        }
    }
    Ok(())
}
