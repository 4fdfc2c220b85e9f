//! One row of a file: cells with names.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

/// What stands in one cell.
#[derive(Clone, PartialEq)]
pub enum Cell {
    /// A text; every cell of a CSV file is one.
    Text(String),
    /// A JSON number, with its digits as they are written.
    Number(String),
    /// Any other JSON.
    Json(Value),
}

impl Cell {
    /// Whether it stands for no value.
    pub(crate) fn is_null(&self, null: &[String]) -> bool {
        match self {
            Self::Text(text) => null.iter().any(|absent| absent == text),
            Self::Number(_) => false,
            Self::Json(value) => value.is_null(),
        }
    }

    /// Its text, if it is one line of writing rather than a structure.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::Json(Value::Bool(value)) => Some(Cow::Owned(value.to_string())),
            Self::Json(_) => None,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Number(digits) => {
                serde_json::from_str(digits).unwrap_or_else(|_| Value::String(digits.clone()))
            }
            Self::Json(value) => value.clone(),
        }
    }
}

/// One row: cells with names. It does not print itself.
#[derive(Clone)]
pub struct Row {
    names: Arc<[String]>,
    cells: Vec<Cell>,
}

impl Row {
    /// A row of these cells.
    pub fn new(cells: Vec<(String, Cell)>) -> Self {
        let (names, cells): (Vec<_>, _) = cells.into_iter().unzip();
        Self { names: names.into(), cells }
    }

    /// A row with the names that all rows of its file share.
    pub(crate) fn named(names: Arc<[String]>, cells: Vec<Cell>) -> Self {
        Self { names, cells }
    }

    /// The cell of this name.
    pub fn cell(&self, name: &str) -> Option<&Cell> {
        let place = self.names.iter().position(|known| known == name)?;
        self.cells.get(place)
    }

    /// The cell of this name, unless it stands for no value.
    pub(crate) fn present(&self, name: &str, null: &[String]) -> Option<&Cell> {
        self.cell(name).filter(|cell| !cell.is_null(null))
    }

    /// The text of this name's cell.
    pub(crate) fn text(&self, name: &str, null: &[String]) -> Option<Cow<'_, str>> {
        self.present(name, null)?.text()
    }

    /// The row as JSON, for those who ask to keep rejected rows.
    pub fn to_json(&self) -> Value {
        let members = self.names.iter().zip(&self.cells);
        Value::Object(members.map(|(name, cell)| (name.clone(), cell.to_json())).collect())
    }
}
