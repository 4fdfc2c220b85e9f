//! Where the backups of a test go: a folder, or a bucket of an S3 server that runs here and keeps its
//! objects as files.

use std::fs::{self, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpError, HttpResponse, S3Error, S3ErrorCode, S3Result, s3_error};
use strongroom_tests::program::Installation;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// The bucket, and what lies before the names of backups in it.
const BUCKET: &str = "vault-backups";
const PREFIX: &str = "of/this-clinic";
/// Who may use it.
const KEY_ID: &str = "AKTESTER";
/// The key's secret, which is to be seen nowhere.
pub(crate) const SECRET: &str = "hidden-4711/of+the-bucket";

/// A sort of place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sort {
    Folder,
    Bucket,
}

/// A place for backups.
pub(crate) enum Place {
    Folder,
    Bucket(BucketServer),
}

impl Place {
    pub(crate) async fn make(sort: Sort, installation: &Installation) -> Self {
        match sort {
            Sort::Folder => {
                fs::create_dir(installation.path("backups")).unwrap();
                Self::Folder
            }
            Sort::Bucket => Self::Bucket(BucketServer::start(installation).await),
        }
    }

    /// The folder in which backups lie by their names.
    pub(crate) fn folder(&self, installation: &Installation) -> PathBuf {
        match self {
            Self::Folder => installation.path("backups"),
            Self::Bucket(server) => server.folder(),
        }
    }

    /// The place, as `--backup-place` takes it behind the name.
    pub(crate) fn text(&self, installation: &Installation) -> String {
        match self {
            Self::Folder => installation.text("backups"),
            Self::Bucket(server) => server.url(BUCKET, "", "credentials"),
        }
    }

    /// A backup in that folder, as `--from` takes it.
    pub(crate) fn from(&self, backup: &Path) -> String {
        match self {
            Self::Folder => backup.display().to_string(),
            Self::Bucket(server) => {
                let name = backup.file_name().unwrap().to_str().unwrap();
                server.url(BUCKET, &format!("/{name}"), "credentials")
            }
        }
    }

    /// What lies there when a backup of this name was begun and not finished.
    pub(crate) fn unfinished(&self, installation: &Installation, name: &str) -> PathBuf {
        let folder = self.folder(installation);
        match self {
            Self::Folder => folder.join(format!("{name}.unfinished")),
            Self::Bucket(_) => folder.join(name),
        }
    }

    /// The server, if there is one.
    pub(crate) fn bucket(&self) -> &BucketServer {
        match self {
            Self::Folder => panic!("a folder is no bucket"),
            Self::Bucket(server) => server,
        }
    }
}

/// An S3 server with one bucket.
pub(crate) struct BucketServer {
    home: PathBuf,
    address: SocketAddr,
    refusals: Arc<Refusals>,
    service: S3Service,
    running: Mutex<Option<AbortHandle>>,
}

/// What the server does wrong from now on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// Nothing.
    Nothing,
    /// Writes are refused with this code, after so many that are not.
    Refuses(&'static str, u32),
    /// A part that is read is another one than was written.
    Spoils,
}

struct Refusals {
    root: PathBuf,
    wrong: Mutex<Wrong>,
}

impl BucketServer {
    async fn start(installation: &Installation) -> Self {
        let root = installation.path("s3");
        fs::create_dir_all(root.join(BUCKET)).unwrap();
        for (name, key_id, secret) in [
            ("credentials", KEY_ID, SECRET),
            ("of-a-stranger", "AKSTRANGER", SECRET),
            ("of-a-forger", KEY_ID, "hidden-4711-forged"),
        ] {
            let path = installation.path(name);
            let text = format!(
                "[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n"
            );
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        let refusals = Arc::new(Refusals { root: root.clone(), wrong: Mutex::new(Wrong::Nothing) });
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        builder.set_access(Guard(refusals.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            home: installation.folder().to_owned(),
            address: listener.local_addr().unwrap(),
            refusals,
            service: builder.build(),
            running: Mutex::new(None),
        };
        server.run(listener);
        server
    }

    fn run(&self, listener: TcpListener) {
        let service = self.service.clone();
        let running = tokio::spawn(async move {
            // They end with the server.
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                connections.spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    let service = service_fn(move |request| whole(service.clone(), request));
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        *self.running.lock().unwrap() = Some(running.abort_handle());
    }

    /// Stops it: nobody listens any more.
    pub(crate) fn stop(&self) {
        self.running.lock().unwrap().take().unwrap().abort();
    }

    /// Starts it again where it was.
    pub(crate) async fn resume(&self) {
        for _ in 0..1000 {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                return self.run(listener);
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the port is not free again");
    }

    /// From now on it does this wrong.
    pub(crate) fn goes_wrong(&self, how: Wrong) {
        *self.refusals.wrong.lock().unwrap() = how;
    }

    /// The URL of something in a bucket, with the credentials in this file.
    pub(crate) fn url(&self, bucket: &str, below: &str, credentials: &str) -> String {
        let (address, file) = (self.address, self.home.join(credentials));
        format!(
            "s3://{bucket}/{PREFIX}{below}?endpoint=http://{address}&credentials_file={}",
            file.display()
        )
    }

    fn folder(&self) -> PathBuf {
        self.refusals.root.join(BUCKET).join(PREFIX)
    }
}

/// Answers a request that has come to its end: whoever is refused while still sending may find the connection
/// closed before the answer is read.
async fn whole(service: S3Service, request: Request<Incoming>) -> Result<HttpResponse, HttpError> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| HttpError::new(Box::new(error)))?;
    service.call(Request::from_parts(head, body.to_bytes().into())).await
}

struct Guard(Arc<Refusals>);

#[async_trait::async_trait]
impl S3Access for Guard {
    async fn check(&self, asked: &mut S3AccessContext<'_>) -> S3Result<()> {
        if asked.credentials().is_none() {
            return Err(s3_error!(AccessDenied));
        }
        let mut wrong = self.0.wrong.lock().unwrap();
        match (*wrong, asked.s3_op().name()) {
            (Wrong::Refuses(code, 0), "PutObject") => {
                let mut refusal = S3Error::new(S3ErrorCode::Custom(code.into()));
                refusal.set_status_code(reqwest::StatusCode::FORBIDDEN);
                Err(refusal)
            }
            (Wrong::Refuses(code, left), "PutObject") => {
                *wrong = Wrong::Refuses(code, left - 1);
                Ok(())
            }
            (Wrong::Spoils, "GetObject") => {
                if let S3Path::Object { bucket, key } = asked.s3_path() {
                    spoil(&self.0.root.join(&**bucket).join(&**key));
                }
                Ok(())
            }
            (Wrong::Nothing | Wrong::Refuses(..) | Wrong::Spoils, _) => Ok(()),
        }
    }
}

/// Changes a byte of a file, if it is there.
fn spoil(path: &Path) {
    if let Ok(mut file) = fs::OpenOptions::new().write(true).open(path) {
        file.seek(SeekFrom::Start(40)).unwrap();
        file.write_all(b"!").unwrap();
    }
}
