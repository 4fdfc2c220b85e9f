//! What a bucket's owner is known by, as it stands in a file or in the environment.

/// The section of a credentials file that is read.
const SECTION: &str = "default";

/// An access key with its secret. It is never shown.
#[derive(Clone)]
pub struct Credentials {
    pub(super) key_id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl Credentials {
    /// The key of this id, its secret, and the token of a session where there is one.
    ///
    /// # Errors
    /// What is wrong, without the values.
    pub fn new(key_id: &str, secret: &str, token: Option<&str>) -> Result<Self, &'static str> {
        if [Some(key_id), Some(secret), token].into_iter().flatten().any(|text| !is_plain(text)) {
            return Err("a key, a secret or a token is empty or has characters that none has");
        }
        Ok(Self {
            key_id: key_id.to_owned(),
            secret: secret.to_owned(),
            token: token.map(str::to_owned),
        })
    }

    /// Reads the form of AWS's shared credentials file: `aws_access_key_id = …`,
    /// `aws_secret_access_key = …` and `aws_session_token = …`, on lines of the section `[default]` or
    /// before any section. Other lines are not looked at.
    ///
    /// # Errors
    /// What is missing, without what stands in the file.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut key_id, mut secret, mut token) = (None, None, None);
        let mut is_ours = true;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                is_ours = section.trim() == SECTION;
            }
            let Some((name, value)) = line.split_once('=').filter(|_| is_ours) else { continue };
            match name.trim() {
                "aws_access_key_id" => key_id = Some(value.trim()),
                "aws_secret_access_key" => secret = Some(value.trim()),
                "aws_session_token" => token = Some(value.trim()),
                _ => {}
            }
        }
        let key_id = key_id.ok_or("it has no line `aws_access_key_id = …`")?;
        let secret = secret.ok_or("it has no line `aws_secret_access_key = …`")?;
        Self::new(key_id, secret, token)
    }
}

/// Characters that may stand in a header.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_key_and_a_secret_in_its_own_section() {
        let read = Credentials::parse(
            "# ours\n[other]\naws_access_key_id = no\n[default]\naws_access_key_id = AK\n\
             aws_secret_access_key=a/b+c==\nregion = x\n[last]\naws_secret_access_key = no",
        );
        let read = read.map_err(str::to_owned).ok().unwrap();
        assert_eq!((read.key_id.as_str(), read.secret.as_str()), ("AK", "a/b+c=="));
        assert!(read.token.is_none());
        let read = Credentials::parse(
            "aws_access_key_id=AK\naws_secret_access_key=S\naws_session_token=T",
        );
        assert_eq!(read.ok().unwrap().token.as_deref(), Some("T"));
    }

    #[test]
    fn a_file_without_either_or_with_what_no_header_takes_is_refused() {
        for text in [
            "",
            "aws_access_key_id = AK",
            "aws_secret_access_key = S",
            "[other]\naws_access_key_id = AK\naws_secret_access_key = S",
            "aws_access_key_id =\naws_secret_access_key = S",
            "aws_access_key_id = A K\naws_secret_access_key = S",
        ] {
            let refused = Credentials::parse(text).err();
            assert!(refused.is_some_and(|why| !why.contains("AK")), "{text}");
        }
    }
}
