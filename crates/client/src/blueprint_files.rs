//! A blueprint as its provider keeps it: one TOML file, or several in a folder.

use std::collections::BTreeSet;

use serde::Deserialize;
use strongroom_model::{
    BlueprintBackend, BlueprintClass, BlueprintCollection, BlueprintContent, BlueprintName,
    BlueprintPurpose,
};

/// A folder has at most so many files of a blueprint.
pub const BLUEPRINT_FILES_MAX: usize = 200;
/// The files of a blueprint have at most so many bytes together: the server takes no more.
pub const BLUEPRINT_BYTES_MAX: usize = 1024 * 1024;

/// Why files are no blueprint.
#[derive(Debug, thiserror::Error)]
pub enum BlueprintFileError {
    /// A file is not TOML, or says something that is not known.
    #[error("`{file}`: {detail}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and where.
        detail: String,
    },
    /// No file says what the blueprint is called.
    #[error("no file says `name = \"…\"`: what the blueprint is called")]
    NoName,
    /// Files name different blueprints.
    #[error("the files name several blueprints: {0}")]
    Names(String),
    /// There are too many files.
    #[error("a blueprint has at most {BLUEPRINT_FILES_MAX} files")]
    TooMany,
    /// They are too long.
    #[error("the files of a blueprint have at most 1 MiB together")]
    TooLong,
}

/// What one file may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    name: Option<BlueprintName>,
    #[serde(default)]
    purposes: Vec<BlueprintPurpose>,
    #[serde(default)]
    collections: Vec<BlueprintCollection>,
    #[serde(default)]
    classes: Vec<BlueprintClass>,
    #[serde(default)]
    backends: Vec<BlueprintBackend>,
}

/// Puts a blueprint together from its files, each with its name and its text, in any order.
///
/// # Errors
/// [`BlueprintFileError`].
pub fn read_blueprint(
    files: &[(String, String)],
) -> Result<(BlueprintName, BlueprintContent), BlueprintFileError> {
    if files.len() > BLUEPRINT_FILES_MAX {
        return Err(BlueprintFileError::TooMany);
    }
    if files.iter().map(|(_, text)| text.len()).sum::<usize>() > BLUEPRINT_BYTES_MAX {
        return Err(BlueprintFileError::TooLong);
    }
    let mut names = BTreeSet::new();
    let mut content = BlueprintContent::default();
    for (file, text) in files {
        let part: Part = toml::from_str(text).map_err(|error| BlueprintFileError::File {
            file: file.clone(),
            detail: error.to_string(),
        })?;
        names.extend(part.name);
        content.purposes.extend(part.purposes);
        content.collections.extend(part.collections);
        content.classes.extend(part.classes);
        content.backends.extend(part.backends);
    }
    if names.len() > 1 {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        return Err(BlueprintFileError::Names(names.join(", ")));
    }
    names.pop_first().map(|name| (name, content)).ok_or(BlueprintFileError::NoName)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<(BlueprintName, BlueprintContent), BlueprintFileError> {
        let named = |(place, text): (usize, &&str)| (format!("{place}.toml"), (*text).to_owned());
        let files: Vec<_> = texts.iter().enumerate().map(named).collect();
        read_blueprint(&files)
    }

    const COLLECTION: &str = "
        [[collections]]
        name = 'people'
        label = 'People'
        purposes = ['care']
        fields = [
            { number = 1, name = 'name', type = 'name' },
            { number = 2, name = 'doctor', type = { reference = 'doctors' }, mask = 'hidden' },
        ]";

    #[test]
    fn several_files_are_one_blueprint() {
        let (name, content) =
            read(&["name = 'clinic'\n[[purposes]]\nname = 'care'", COLLECTION]).unwrap();
        assert_eq!(name.as_str(), "clinic");
        assert_eq!((content.purposes.len(), content.collections[0].fields.len()), (1, 2));
        assert_eq!(read(&[&format!("name = 'clinic'{COLLECTION}")]).unwrap().0, name);
    }

    #[test]
    fn what_is_no_blueprint_is_refused_with_the_file_that_says_it() {
        for (texts, words) in [
            (vec![COLLECTION], "no file says"),
            (vec!["name = 'a'", "name = 'b'"], "`a`, `b`"),
            (vec!["name = 'a'", "colour = 'red'"], "`1.toml`: "),
            (vec!["name = 'a'", "[[collections]]\nname = 'x'\nshape = 1"], "unknown field `shape`"),
            (vec!["name = 'A B'"], "a name begins with a lower-case letter"),
            (vec!["name = 'a'\nname = 'a'"], "duplicate key"),
        ] {
            let error = read(&texts).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let long = "#".repeat(BLUEPRINT_BYTES_MAX + 1);
        assert!(matches!(read(&[&long]), Err(BlueprintFileError::TooLong)));
        let many = vec!["name = 'a'"; BLUEPRINT_FILES_MAX + 1];
        assert!(matches!(read(&many), Err(BlueprintFileError::TooMany)));
    }
}
