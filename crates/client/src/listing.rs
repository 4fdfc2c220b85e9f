//! Lists that come in pages.

use serde::{Deserialize, Serialize};

/// Which page of a list.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// At most so many entries; absent: the server's default.
    pub limit: Option<u32>,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

impl Page {
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        let cursor = self.cursor.clone().map(|cursor| ("cursor", cursor));
        limit.into_iter().chain(cursor).collect()
    }
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listed<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(default = "Option::default")]
    pub next: Option<String>,
}
