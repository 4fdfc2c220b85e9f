//! TLS to the database: its certificate and its name are always checked.

use std::os::unix::fs::{PermissionsExt, chown};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use strongroom_storage::{PostgresStore, PostgresUrl};

use crate::cluster::Cluster;
use crate::fixture::{key, postgres_url, put, run};
use strongroom_storage::Store;

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

#[test]
fn a_database_is_believed_only_with_a_certificate_of_its_name_from_a_known_authority() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::start_with(&format!("listen_addresses = '127.0.0.1'\nport = {port}"));
    let (ours, theirs) = (authority(), authority());
    let own = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&own, &ours)
        .unwrap();
    for (name, text) in [("server.crt", certificate.pem()), ("server.key", own.serialize_pem())] {
        let path = cluster.data().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = cluster.owner() {
            chown(&path, Some(user), Some(group)).unwrap();
        }
    }
    std::fs::write(
        cluster.data().join("pg_hba.conf"),
        "local all all trust\nhostssl all all 127.0.0.1/32 trust\n",
    )
    .unwrap();
    cluster.configure("ssl = on");
    cluster.stop("fast");
    cluster.start();

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (ours, theirs) = (file("ours", &ours.pem()), file("theirs", &theirs.pem()));
    let at = |host: &str, options: &str| -> PostgresUrl {
        postgres_url(&format!("postgres://tester@{host}:{port}/postgres?{options}"))
    };
    let fails = |url: &PostgresUrl, said: &str| {
        let error = PostgresStore::create(url).err().expect(said).to_string();
        assert!(error.contains(said), "{error}");
    };
    fails(&at("localhost", &format!("sslrootcert={theirs}")), "invalid peer certificate");
    fails(&at("127.0.0.1", &format!("sslrootcert={ours}")), "not valid for");
    fails(&at("localhost", ""), "TLS with it fails");
    fails(&at("localhost", "sslrootcert=/nowhere/ca.pem"), "check `sslrootcert`");
    let empty = file("empty", "nothing");
    fails(&at("localhost", &format!("sslrootcert={empty}")), "check `sslrootcert`");
    // The server takes nobody without TLS, so that this one shows that it was spoken.
    fails(&at("localhost", "sslmode=disable"), "no encryption");

    let url = at("localhost", &format!("sslmode=verify-full&sslrootcert={ours}"));
    let store = PostgresStore::create(&url).unwrap();
    run(async move {
        store.commit(put("a", 1, "x")).await.unwrap();
        assert!(store.get_many(&[key("a")]).await.unwrap()[0].is_some());
    });
}
