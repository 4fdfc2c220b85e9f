//! Places for backups as people name them: folders, and buckets of S3-compatible storage.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use strongroom_model::{BackupPlaceName, Malformed};
use strongroom_storage::buckets::{Bucket, BucketAddress, Credentials};
use strongroom_vault::backups::{BackupPlace, BucketPlace, FolderPlace, Places};
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::files;

/// The places that `--backup-place` names. Each folder must be there: one that is not mounted is not
/// made. Buckets are first asked when a backup goes there: a server starts without them.
pub(crate) fn named(texts: &[String]) -> Result<Places, Failure> {
    let mut places = Places::new();
    for text in texts {
        // Nothing of a text without a name is repeated: it may begin with an address that holds a secret.
        let named = text.split_once('=').filter(|(name, _)| !BucketAddress::is_meant(name));
        let (name, at) = named.ok_or_else(|| {
            Failure::usage("`--backup-place` is `NAME=FOLDER` or `NAME=s3://BUCKET/PREFIX?…`")
        })?;
        // Of a bucket's address nothing is repeated: somebody may have written a secret there.
        let wrong = |why: &str| {
            let shown = if BucketAddress::is_meant(at) { "s3://…" } else { at };
            Failure::usage(format!("`--backup-place {name}={shown}`: {why}"))
        };
        let place_name: BackupPlaceName =
            name.parse().map_err(|error: Malformed| wrong(&error.to_string()))?;
        let place: Arc<dyn BackupPlace> = if BucketAddress::is_meant(at) {
            let address = BucketAddress::parse(at).map_err(wrong)?;
            Arc::new(bucket(&address)?)
        } else if Path::new(at).is_dir() {
            Arc::new(FolderPlace::new(at))
        } else {
            return Err(wrong("there is no such folder; make it, or mount its disk"));
        };
        if places.insert(place_name, place).is_some() {
            return Err(wrong("another place has this name"));
        }
    }
    Ok(places)
}

/// The place in which a backup lies, and its name there.
pub(crate) fn of_backup(from: &str) -> Result<(Arc<dyn BackupPlace>, String), Failure> {
    if BucketAddress::is_meant(from) {
        let wrong = |why: &str| Failure::usage(format!("`--from s3://…`: {why}"));
        let address = BucketAddress::parse(from).map_err(wrong)?;
        let (above, name) =
            address.split_last().ok_or_else(|| wrong("it names no backup in the bucket"))?;
        return Ok((Arc::new(bucket(&above)?), name));
    }
    let from = Path::new(from);
    let wrong = || Failure::usage(format!("`{}` is no folder of a backup", from.display()));
    let whole = std::fs::canonicalize(from).map_err(|error| Failure::file(from, &error))?;
    let name = whole.file_name().and_then(|name| name.to_str()).ok_or_else(wrong)?;
    let folder = whole.parent().ok_or_else(wrong)?;
    Ok((Arc::new(FolderPlace::new(folder)), name.to_owned()))
}

fn bucket(address: &BucketAddress) -> Result<BucketPlace, Failure> {
    let bucket = Bucket::new(address, credentials(address)?)
        .map_err(|problem| Failure::usage(format!("`{address}`: {problem}")))?;
    Ok(BucketPlace::new(bucket))
}

/// The credentials in the file that the address names, or else in the environment. They never stand in
/// a command.
fn credentials(address: &BucketAddress) -> Result<Credentials, Failure> {
    if let Some(path) = address.credentials_file() {
        let text = files::secret(path)?;
        return Credentials::parse(&text)
            .map_err(|why| Failure::local(format!("`{}`: {why}", path.display())));
    }
    let read = |name: &str| std::env::var_os(name).map(OsString::into_string);
    let text = |name: &str| match read(name) {
        Some(Ok(text)) => Ok(Some(Zeroizing::new(text))),
        Some(Err(_)) => Err(Failure::usage(format!("`{name}` is not UTF-8"))),
        None => Ok(None),
    };
    match (text("AWS_ACCESS_KEY_ID")?, text("AWS_SECRET_ACCESS_KEY")?) {
        (Some(key_id), Some(secret)) => {
            let token = text("AWS_SESSION_TOKEN")?;
            Credentials::new(&key_id, &secret, token.as_ref().map(|token| token.as_str()))
                .map_err(|why| Failure::usage(format!("the credentials in the environment: {why}")))
        }
        (None, _) | (_, None) => Err(Failure::usage(format!(
            "`{address}`: no credentials: say `credentials_file=FILE` in it, or set \
             `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment"
        ))),
    }
}
