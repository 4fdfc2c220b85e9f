//! `cargo xtask schemathesis`: asks a running server for whatever its OpenAPI document allows and
//! forbids, as everybody who could ask, and looks whether the answers are those of the document.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::command::{self, Failure, root};

/// Where its virtual environment lives, seen from the workspace, and what is installed in it.
const ENVIRONMENT: &str = "target/schemathesis";
const PACKAGE: &str = "schemathesis==4.32.5";
/// Where a run keeps its server, configurations and reports.
const RUN: &str = "target/schemathesis-run";

/// Cases of an operation and phase, unless `--cases` says otherwise.
const CASES: u32 = 50;

/// Operations that end the credential with which they are asked, or lock the server: everything
/// after them would be refused, and nothing would be tested. The scenarios test them.
const LEFT_OUT: [&str; 3] = ["end_session", "provider_end_session", "lock"];

/// Statuses with which a request may be refused although it has the document's form: what it says
/// has no meaning here, or the state does not allow it.
const REFUSALS: &str = "\"2xx\", 401, 403, 404, 409, 410, 412, 422, 428, 429";

/// Whoever asks; each has a file with its token, which nobody has not.
const ROLES: [&str; 5] = ["nobody", "operator", "clerk", "key", "owner"];

/// How often, and how many times, it is looked whether the server listens.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 300;

/// A collection of which the records are.
const COLLECTION: &str = r#"{"name": "people", "label": "People", "purposes": ["care"],
"subject": "own", "fields": [{"name": "name", "type": "name", "required": true},
{"name": "email", "type": "email"}, {"name": "phone", "type": "phone"},
{"name": "birth_date", "type": "date"}, {"name": "fee", "type": "decimal"},
{"name": "note", "type": "text"}]}"#;

/// What the tool is told beside its configuration. Of a header whose pattern cannot do without a colon it
/// finds no example, sends `0`, and takes that for allowed; so it is given examples. And for an integer it
/// sends `3.0`, which JSON Schema takes for one and the server does not.
const HOOKS: &str = r#"import schemathesis


@schemathesis.hook
def before_load_schema(context, raw_schema):
    user = raw_schema["components"]["parameters"]["User"]
    user["schema"] = {"type": "string", "enum": ["ext:4711", "usr_00000000000000000000000000"]}


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


@schemathesis.hook
def map_body(context, body):
    return whole(body)
"#;

/// Runs it as everybody: `--cases N` for each operation and phase, `--only ROLE`.
///
/// # Errors
/// If it cannot be prepared, or an answer is not the document's.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let (cases, only) = read(arguments)?;
    let program = prepared()?;
    command::run(&mut command::program())?;
    let folder = root().join(RUN);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    let installation = Installation::start(folder)?;
    let tenant = installation.settle()?;
    let mut faults = Vec::new();
    for role in ROLES.iter().filter(|role| only.as_deref().is_none_or(|only| only == **role)) {
        let (counted, fault) = installation.ask_as(role, &tenant, cases, &program)?;
        println!("{role:<9} {counted}");
        faults.extend(fault.map(|fault| format!("{role}: {fault}")));
    }
    faults.extend(installation.faults());
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("reports are in {RUN}\n{}", faults.join("\n"))))
    }
}

fn read(arguments: &[OsString]) -> Result<(u32, Option<String>), Failure> {
    let (mut cases, mut only) = (CASES, None);
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(name) = arguments.next() {
        let value = arguments.next();
        match (&*name, value) {
            ("--cases", Some(value)) => {
                let wrong = |_| Failure::new("`--cases` takes a number");
                cases = value.parse().map_err(wrong)?;
            }
            ("--only", Some(role)) if ROLES.contains(&&*role) => only = Some(role.into_owned()),
            _ => {
                let roles = ROLES.join(", ");
                return Err(Failure::new(format!("only `--cases N` and `--only` with {roles}")));
            }
        }
    }
    Ok((cases, only))
}

/// The program, installed on first use.
fn prepared() -> Result<PathBuf, Failure> {
    let environment = root().join(ENVIRONMENT);
    let program = environment.join("bin").join("schemathesis");
    let wanted = PACKAGE.rsplit('=').next().unwrap_or_default();
    let said = command::output(Command::new(&program).arg("--version"));
    if said.is_some_and(|said| said.trim().ends_with(wanted)) {
        return Ok(program);
    }
    println!("preparing {ENVIRONMENT} with {PACKAGE}");
    command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin").join("python3"));
    command::run(pip.args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
    Ok(program)
}

/// A server with a tenant, and the tokens of everybody.
struct Installation {
    folder: PathBuf,
    server: Child,
    url: String,
}

impl Installation {
    fn start(folder: PathBuf) -> Result<Self, Failure> {
        let store = ["--store", "redb:store", "--holder", "holder", "--seal-key-file", "seal.key"];
        let mut init = strongroom(&folder, &["init", "--invitation-file", "invitation"]);
        command::run(init.args(store).stderr(Stdio::null()))?;
        let log = folder.join("log");
        let written = File::create(&log).map_err(|error| failed(&log, &error))?;
        // As many questions as fit into a run are asked.
        let serve = ["serve", "--listen", "127.0.0.1:0", "--no-rate-limits"];
        let mut serve = strongroom(&folder, &serve);
        let serve = serve.args(store).stdout(Stdio::null()).stderr(written);
        let server = serve.spawn().map_err(|error| failed(&folder, &error))?;
        let mut installation = Self { folder, server, url: String::new() };
        for _ in 0..LOOKS_MAX {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let listening = said.lines().find_map(|line| line.strip_prefix("listening on "));
            if let Some(url) = listening.filter(|_| said.ends_with('\n')) {
                url.clone_into(&mut installation.url);
                return Ok(installation);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(Failure::new(format!("the server does not listen; see {RUN}/log")))
    }

    /// Makes the tenant with a collection, a record, an owner and keys, and gives its id.
    fn settle(&self) -> Result<String, Failure> {
        self.ask(&["login", "--token-file", "operator", "--invitation-file", "invitation"])?;
        let made = self.ask(&[
            "tenants",
            "create",
            "--token-file",
            "operator",
            "--name",
            "Clinic",
            "--owner-name",
            "Odette Owner",
            "--owner-email",
            "odette@owner.example",
        ])?;
        self.write("invitation-of-owner", &member(&made, "token")?)?;
        self.ask(&["login", "--token-file", "owner", "--invitation-file", "invitation-of-owner"])?;
        self.write("people.json", COLLECTION)?;
        self.ask(&["collections", "create", "--token-file", "owner", "--file", "people.json"])?;
        let record = r#"{"external_id": "P-1", "fields": {"name": "Sandra Sample"}}"#;
        self.write("record.json", record)?;
        let record = ["records", "create", "people", "--token-file", "owner", "--file"];
        self.ask(&[&record[..], &["record.json"]].concat())?;
        for (role, class) in [("clerk", "clerk"), ("key", "owner")] {
            let make = ["api-keys", "create", "--token-file", "owner", "--days", "1", "--label"];
            let made = self.ask(&[&make[..], &[role, "--class", class]].concat())?;
            self.write(role, &member(&made, "token")?)?;
        }
        member(&made, "id")
    }

    /// Asks with the command line, and gives what it prints.
    fn ask(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut asked = strongroom(&self.folder, arguments);
        let printed = command::output(asked.args(["--server", &self.url, "--output", "json"]));
        let words = arguments.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        printed.ok_or_else(|| Failure::new(format!("`strongroom {words}` failed")))
    }

    fn write(&self, name: &str, content: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        fs::write(&path, content).map_err(|error| failed(&path, &error))
    }

    /// Runs schemathesis as somebody. Gives how many cases there were, and what is wrong.
    fn ask_as(
        &self,
        role: &str,
        tenant: &str,
        cases: u32,
        program: &Path,
    ) -> Result<(String, Option<String>), Failure> {
        let token = fs::read_to_string(self.folder.join(role)).ok();
        let configuration = format!("{role}.toml");
        self.write(&configuration, &configured(token.as_deref(), tenant))?;
        self.write("hooks.py", HOOKS)?;
        let report = self.folder.join(format!("{role}.txt"));
        let written = File::create(&report).map_err(|error| failed(&report, &error))?;
        let mut asking = Command::new(program);
        asking.current_dir(&self.folder).args(["--config-file", &configuration, "run"]);
        asking.arg(format!("{}/openapi.json", self.url)).args(["-n", &cases.to_string()]);
        asking.args(["--no-color", "--continue-on-failure", "--warnings", "off", "--no-shrink"]);
        asking.args(["--suppress-health-check", "all", "--generation-database", "none"]);
        asking.args(LEFT_OUT.iter().flat_map(|name| ["--exclude-operation-id", *name]));
        let ended = asking.stdin(Stdio::null()).stdout(written).stderr(Stdio::null()).status();
        let ended = ended.map_err(|error| failed(program, &error))?;
        let said = fs::read_to_string(&report).unwrap_or_default();
        let counted = said.lines().find(|line| line.contains(" generated, "));
        let counted = counted.map_or("nothing was asked", str::trim).to_owned();
        let fault = if !ended.success() {
            Some(format!("answers are not those of the document: {RUN}/{role}.txt"))
        } else if token.is_some() && self.ask(&["whoami", "--token-file", role]).is_err() {
            Some("the credential has ended, so that the last cases have tested nothing".to_owned())
        } else {
            None
        };
        Ok((counted, fault))
    }

    /// What the server's log says of its own faults.
    fn faults(&self) -> Option<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let faults = log.lines().filter(|line| line.contains(" ERROR ")).count();
        (faults > 0).then(|| format!("the server's log has {faults} errors: {RUN}/log"))
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // Both may fail only because it has ended by itself.
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// The configuration of one who asks. Ids that exist are given, so that more than absence is tested.
fn configured(token: Option<&str>, tenant: &str) -> String {
    let header = token.map_or_else(String::new, |token| {
        format!("headers = {{ Authorization = \"Bearer {}\" }}\n", token.trim())
    });
    // Where nobody has a credential, none can be left out.
    let credentials = if token.is_some() { "" } else { "[checks.ignored_auth]\nenabled = false\n" };
    format!(
        "hooks = \"hooks.py\"\n\
         {header}[parameters]\n\
         \"path.tenant\" = \"{tenant}\"\n\
         \"path.collection\" = \"people\"\n\
         [checks]\n\
         positive_data_acceptance.expected-statuses = [{REFUSALS}]\n\
         missing_required_header.expected-statuses = [400, 401, 403, 404]\n\
         {credentials}\
         # The document cannot say that the key is needed unless `dry_run` is true.\n\
         [[operations]]\n\
         include-operation-id = \"request_erasure\"\n\
         checks.positive_data_acceptance.expected-statuses = [{REFUSALS}, 400]\n"
    )
}

/// The program that was built, without anything of its user's own settings.
fn strongroom(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(root().join("target/release/strongroom"));
    command.env_clear().current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// The text of a member, wherever in this JSON it stands first.
fn member(json: &str, name: &str) -> Result<String, Failure> {
    let found = json.split_once(&format!("\"{name}\": \"")).and_then(|(_, rest)| {
        let (text, _) = rest.split_once('"')?;
        Some(text.to_owned())
    });
    found.ok_or_else(|| Failure::new(format!("an answer without `{name}`")))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_where_it_stands_and_only_there() {
        let json = "{\n  \"id\": \"ten_1\",\n  \"invitation\": {\n    \"token\": \"sri_2\"\n  }\n}";
        assert_eq!(member(json, "id").unwrap(), "ten_1");
        assert_eq!(member(json, "token").unwrap(), "sri_2");
        assert!(member(json, "name").is_err());
    }

    #[test]
    fn a_token_is_sent_by_those_who_have_one() {
        assert!(configured(Some("srk_1\n"), "ten_1").contains("\"Bearer srk_1\""));
        let nobody = configured(None, "ten_1");
        assert!(!nobody.contains("Authorization") && nobody.contains("ignored_auth"), "{nobody}");
    }

    #[test]
    fn arguments_that_mean_nothing_are_refused() {
        let check = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            read(&arguments).ok()
        };
        assert_eq!(check(&["--cases", "7"]), Some((7, None)));
        assert_eq!(check(&["--only", "clerk"]), Some((CASES, Some("clerk".to_owned()))));
        for wrong in [&["--cases"][..], &["--cases", "x"], &["--only", "king"], &["7"]] {
            assert_eq!(check(wrong), None, "{wrong:?}");
        }
    }
}
