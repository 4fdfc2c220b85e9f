//! The files of the repository, read once for all rules.

use std::fs;
use std::path::Path;

use crate::command::Failure;

/// Every file of the repository, ordered by path.
pub(crate) struct Repository {
    files: Vec<File>,
}

/// One file.
pub(crate) struct File {
    /// Seen from the workspace, with `/` between the parts.
    pub(crate) path: String,
    /// Its text; empty where it is not UTF-8.
    pub(crate) text: String,
}

/// Folders that hold no source: what is built, what git keeps, what fuzzing leaves.
const SKIPPED_FOLDERS: &[&str] = &["target", ".git", "artifacts", "corpus", "node_modules"];

impl Repository {
    /// Reads the folder and what is below it.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let mut files = Vec::new();
        read_folder(root, "", &mut files)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", root.display())))?;
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self { files })
    }

    /// A repository made of these paths and texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() });
        Self { files: files.collect() }
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// Every file whose name ends with a dot and this.
    pub(crate) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.has_extension(extension))
    }

    /// The text of the file with this path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether a file or folder has this path; the workspace itself has the empty one.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty()
            || self.files.iter().any(|file| {
                file.path
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }
}

impl File {
    /// Whether the name ends with a dot and this.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn read_folder(folder: &Path, path: &str, into: &mut Vec<File>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !SKIPPED_FOLDERS.contains(&name.as_str()) {
                read_folder(&entry.path(), &path, into)?;
            }
        } else if kind.is_file() {
            let text = String::from_utf8(fs::read(entry.path())?).unwrap_or_default();
            into.push(File { path, text });
        }
    }
    Ok(())
}
