//! `strongroom init`: a store, its keys, and an invitation for the first operator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use strongroom_keyring::{FileHolder, Grade, Holder, Keyring};
use strongroom_model::{Email, InstallId, Label};
use strongroom_storage::StoreUrl;
use strongroom_vault::{Secret, Vault, system, tenants};

use crate::exit::Failure;
use crate::files::SecretFile;
use crate::screen::{data, say};
use crate::server::head_file::HeadFile;
use crate::server::seal::{NewSeal, SealArguments};
use crate::server::{
    FIRST_HOLDER_CLASS, Machine, holder_path, key_failure, parse_store, quoted_url, rejected,
    vault_over,
};
use crate::settings::ServeSettings;

/// Makes a store and its keys.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The store to be made: `redb:FOLDER`, `redb+journal:FOLDER`, `fjall:FOLDER`, `sled:FOLDER` or `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "URL", env = "STRONGROOM_STORE", hide_env_values = true)]
    store: Option<String>,
    /// The new file that keeps the share of the root secret [default: `holder` in the store's folder]
    #[arg(long, value_name = "FILE", env = "STRONGROOM_HOLDER")]
    holder: Option<PathBuf>,
    #[command(flatten)]
    seal: SealArguments,
    /// The first operator's name
    #[arg(long, default_value = "Operator")]
    operator_name: Label,
    /// The first operator's e-mail address
    #[arg(long)]
    operator_email: Option<Email>,
    /// Write the invitation's token to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    invitation_file: Option<PathBuf>,
}

impl Init {
    pub(crate) async fn run(self, settings: &ServeSettings) -> Result<(), Failure> {
        let store = parse_store(self.store.or_else(|| settings.store.clone()))?;
        let holder = holder_path(self.holder.or_else(|| settings.holder.clone()), &store)?;
        let machine = Machine::new();
        let seal = self.seal.choose(&*machine.rng)?;
        let invitation_file =
            self.invitation_file.as_deref().map(SecretFile::create).transpose()?;
        let operator = tenants::Owner { name: self.operator_name, email: self.operator_email };
        let (_, invitation) = make(&store, &holder, &seal, operator, &machine).await?;

        say(&format!("made the store {store} and its holder `{}`", holder.display()));
        if store.path().is_some_and(|folder| holder.starts_with(folder)) {
            say(
                "the holder lies in the store's folder: a copy of the folder is a copy of both, and \
                 an erasure does not reach copies; keep the holder elsewhere (`--holder`)",
            );
        }
        if let (Some(file), Some(path)) = (invitation_file, &self.invitation_file) {
            file.write(invitation.token.expose())?;
            say(&format!("the first operator's invitation stands in `{}`", path.display()));
        } else {
            say("the first operator's invitation, shown this once:");
            data(invitation.token.expose())?;
        }
        say(&format!("it ends at {}. Next:", invitation.expires_at));
        let key = seal
            .file
            .as_deref()
            .map_or_else(String::new, |path| format!(" --seal-key-file {}", path.display()));
        say(&format!(
            "  strongroom serve --store {} --holder {}{key}",
            quoted_url(&store),
            holder.display()
        ));
        if seal.file.is_none() {
            say("  strongroom unlock");
        }
        say(&self.invitation_file.map_or_else(
            || {
                "  strongroom login --token-file operator.token    (and paste the invitation)"
                    .into()
            },
            |path| {
                let path = path.display();
                format!("  strongroom login --invitation-file {path} --token-file operator.token")
            },
        ));
        say("  strongroom tenants create --help");
        Ok(())
    }
}

/// Makes the store, the holder, the key file, the keys and the provider. What was there before is
/// refused; what was made is taken away again if a later step fails.
pub(super) async fn make(
    store: &StoreUrl,
    holder: &Path,
    seal: &NewSeal,
    operator: tenants::Owner,
    machine: &Machine,
) -> Result<(Arc<Vault>, Secret), Failure> {
    let key_file = seal.file.as_deref();
    let absent = |path: &Path| {
        if path.exists() {
            return Err(Failure::local(format!(
                "`{}` exists; nothing is overwritten: name another file",
                path.display()
            )));
        }
        Ok(())
    };
    absent(holder)?;
    let head = HeadFile::beside(holder);
    absent(head.path())?;
    key_file.map_or(Ok(()), absent)?;
    let url = store.clone();
    let opened = tokio::task::spawn_blocking(move || strongroom_storage::create(&url))
        .await
        .map_err(|_| Failure::local("making the store was cut short"))?
        .map_err(|error| Failure::local(error.to_string()))?;
    let mut made = Made { paths: store.path().into_iter().map(Path::to_owned).collect() };

    seal.write()?;
    made.paths.extend(key_file.map(Path::to_owned));
    let install = InstallId::new(machine.clock.now(), &*machine.rng)?;
    let file = FileHolder::create(
        holder,
        install,
        FIRST_HOLDER_CLASS,
        Grade::Logical,
        seal.method.clone(),
        &*machine.rng,
    )
    .map_err(|error| Failure::local(error.to_string()))?;
    let file = Arc::new(file);
    made.paths.push(holder.to_owned());
    let holders: Vec<Arc<dyn Holder>> = vec![file.clone()];
    Keyring::create(
        opened.clone(),
        holders,
        &seal.key,
        install,
        machine.clock.clone(),
        machine.rng.clone(),
    )
    .await
    .map_err(|error| key_failure(&error))?;
    made.paths.push(head.path().to_owned());
    let (vault, _) = vault_over(opened, file, vec![Arc::new(head)], machine).await?;
    system::unlock(&vault, &seal.key).await.map_err(|error| rejected(&error))?;
    let invitation =
        system::plant(&vault, operator).await.map_err(|error| Failure::local(error.to_string()))?;
    vault.write_heads().await.map_err(|error| Failure::local(error.to_string()))?;
    made.paths.clear();
    Ok((vault, invitation))
}

/// What this run has made, to be taken away unless it ends well.
struct Made {
    paths: Vec<PathBuf>,
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.paths.iter().rev() {
            let _ = if path.is_dir() {
                std::fs::remove_dir_all(path)
            } else {
                std::fs::remove_file(path)
            };
        }
    }
}
