//! Holder files: what they refuse, and that they never overwrite what they refuse.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use strongroom_crypto::seal_key::SealParameters;
use strongroom_keyring::{
    FileHolder, FileHolderError, Grade, Half, Held, Holder, HolderError, KeyError, SealMethod,
    ShareTag,
};
use strongroom_model::InstallId;
use strongroom_storage::{MemoryStore, Store};

use crate::world::{self, INSTALL, TestRng, World, erase, leaf_stone, tenant};

const OTHER: InstallId = InstallId::from_bytes([9; 16]);

fn create(path: &Path) -> FileHolder {
    let rng = TestRng::new(5);
    FileHolder::create(path, INSTALL, 1, Grade::Logical, SealMethod::KeyFile, &rng).unwrap()
}

fn world_of(path: &Path, store: Arc<dyn Store>) -> World {
    World::of(store, vec![Arc::new(FileHolder::open(path, Some(INSTALL)).unwrap())])
}

#[tokio::test]
async fn a_holder_file_keeps_two_shares_and_forgets_the_one_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    let holder = create(&path);
    holder.install(1, b"one").await.unwrap();
    holder.install(2, b"two").await.unwrap();
    holder.install(2, b"two").await.unwrap();
    assert_eq!(holder.install(2, b"other").await, Err(HolderError::Reused));
    assert_eq!(holder.install(1, b"other").await, Err(HolderError::Reused));
    assert_eq!(holder.install(3, b"three").await, Err(HolderError::Full));
    assert_eq!(holder.forget(1, ShareTag::of(b"two")).await, Err(HolderError::Missing));
    assert_eq!(holder.read(1).await, Ok(b"one".to_vec()));
    let inode = fs::metadata(&path).unwrap().ino();
    holder.forget(1, ShareTag::of(b"one")).await.unwrap();
    holder.forget(1, ShareTag::of(b"one")).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode, "the file was replaced");
    assert_eq!(holder.read(1).await, Err(HolderError::Missing));
    let again = FileHolder::open(&path, Some(INSTALL)).unwrap();
    let kept = again.list().await.unwrap();
    assert_eq!(kept.shares, [Held { number: 2, tag: ShareTag::of(b"two") }]);
    // What it has forgotten it does not take again.
    assert_eq!(again.install(1, b"one").await, Err(HolderError::Reused));
    again.forget(2, ShareTag::of(b"two")).await.unwrap();
    assert_eq!(again.install(2, b"two").await, Err(HolderError::Reused));
    again.install(3, b"three").await.unwrap();
}

#[tokio::test]
async fn a_forgotten_share_stands_nowhere_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    let holder = create(&path);
    let share = [0xA5; 120];
    holder.install(1, &share).await.unwrap();
    let find = || fs::read(&path).unwrap().windows(8).filter(|part| part == &&share[..8]).count();
    assert_eq!(find(), 113);
    holder.forget(1, ShareTag::of(&share)).await.unwrap();
    assert_eq!(find(), 0);
}

#[test]
fn a_holder_file_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    drop(create(&path));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(FileHolder::open(&path, None), Err(FileHolderError::Exposed(_))));
}

#[test]
fn a_holder_file_says_how_the_seal_key_is_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    let rng = TestRng::new(5);
    let method = SealMethod::Passphrase(SealParameters::floor(&rng).unwrap());
    FileHolder::create(&path, INSTALL, 3, Grade::Overwritten, method.clone(), &rng).unwrap();
    let holder = FileHolder::open(&path, Some(INSTALL)).unwrap();
    assert_eq!((holder.seal_method(), holder.class()), (&method, 3));
    assert_eq!((holder.grade(), holder.installation()), (Grade::Overwritten, INSTALL));
}

#[test]
fn what_is_no_holder_file_of_this_installation_is_refused_by_name_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = FileHolder::open(&path, Some(INSTALL)).err().unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes, "it was changed");
        assert!(error.to_string().contains("share`"), "{error}");
        error
    };
    assert!(matches!(
        FileHolder::open(&path, None),
        Err(FileHolderError::Missing(missing)) if missing == path
    ));
    drop(create(&path));
    let good = fs::read(&path).unwrap();
    assert_eq!(good.len(), 3 * 4096);
    let rng = TestRng::new(5);
    let exists = FileHolder::create(&path, INSTALL, 1, Grade::Logical, SealMethod::KeyFile, &rng);
    assert!(matches!(exists, Err(FileHolderError::Exists(_))));
    assert_eq!(fs::read(&path).unwrap(), good);

    assert!(matches!(refused(b""), FileHolderError::Foreign(_)));
    assert!(matches!(refused(b"some other file of somebody"), FileHolderError::Foreign(_)));
    for length in [18, 100, 4095, 4096, good.len() - 1] {
        assert!(matches!(refused(&good[..length]), FileHolderError::Damaged { .. }), "{length}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(matches!(refused(&longer), FileHolderError::Damaged { .. }));
    let mut version = good.clone();
    version[17] = 2;
    assert!(matches!(refused(&version), FileHolderError::Version { found: 2, .. }));
    fs::write(&path, &good).unwrap();
    let other = FileHolder::open(&path, Some(OTHER)).err().unwrap();
    assert!(matches!(other, FileHolderError::OtherInstallation { found: INSTALL, .. }), "{other}");
    assert!(matches!(
        FileHolder::open(folder.path(), None),
        Err(FileHolderError::Unreadable { .. } | FileHolderError::Foreign(_))
    ));
    // Every bit of the header counts.
    for byte in 0..4096 {
        let mut flipped = good.clone();
        flipped[byte] ^= 1 << (byte % 8);
        refused(&flipped);
    }
}

#[tokio::test]
async fn a_changed_bit_in_the_share_in_force_is_noticed_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    drop(create(&path));
    let world = world_of(&path, Arc::new(MemoryStore::new()));
    drop(world.create().await);
    let good = fs::read(&path).unwrap();
    let slot = if good[4096 + 1] == 1 { 4096 } else { 8192 };
    for byte in (slot..slot + 140).chain((slot + 140..slot + 4096).step_by(61)) {
        let mut flipped = good.clone();
        flipped[byte] ^= 1 << (byte % 8);
        fs::write(&path, &flipped).unwrap();
        let refused = world.open().await.unlock(&world::seal_key()).await;
        assert!(matches!(refused, Err(KeyError::Damaged(_))), "byte {byte}: {refused:?}");
        assert_eq!(fs::read(&path).unwrap(), flipped, "byte {byte}: it was overwritten");
    }
    // The slots exchanged.
    let swapped = [&good[..4096], &good[8192..], &good[4096..8192]].concat();
    fs::write(&path, &swapped).unwrap();
    let refused = world.open().await.unlock(&world::seal_key()).await;
    assert!(matches!(refused, Err(KeyError::Damaged(_))), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), swapped);
    fs::write(&path, &good).unwrap();
    drop(world.reopen().await);
}

#[tokio::test]
async fn a_slot_that_was_cut_short_is_cleared_once_the_share_in_force_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    drop(create(&path));
    let world = world_of(&path, Arc::new(MemoryStore::new()));
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let other = if bytes[4096 + 1] == 1 { 8192 } else { 4096 };
    bytes[other + 1..other + 200].fill(0xA5);
    fs::write(&path, &bytes).unwrap();
    let wrong = strongroom_crypto::Key::from_slice(&[7; 32]).unwrap();
    assert_eq!(world.open().await.unlock(&wrong).await, Err(KeyError::WrongSealKey));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let keyring = world.reopen().await;
    assert_eq!(world.holders[0].list().await.unwrap().damaged, 0);
    let stones = [leaf_stone(tenant(1), Half::Data, 16)];
    let _ = erase(&keyring, world.store.as_ref(), &stones).await;
    drop(world.reopen().await);
}

#[tokio::test]
async fn a_file_that_was_replaced_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    let holder = create(&path);
    holder.install(1, b"one").await.unwrap();
    fs::rename(&path, folder.path().join("gone")).unwrap();
    assert!(matches!(holder.read(1).await, Err(HolderError::Unavailable(_))));
    let rng = TestRng::new(6);
    let other = FileHolder::create(&path, INSTALL, 1, Grade::Logical, SealMethod::KeyFile, &rng);
    other.unwrap().install(1, b"other").await.unwrap();
    assert!(matches!(holder.read(1).await, Err(HolderError::Damaged(_))));
    assert!(matches!(holder.install(2, b"two").await, Err(HolderError::Damaged(_))));
}

#[tokio::test]
async fn a_copy_of_the_file_from_before_a_shred_does_not_unlock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("share");
    drop(create(&path));
    let world = world_of(&path, Arc::new(MemoryStore::new()));
    let keyring = world.create().await;
    keyring.create_tenant(tenant(1)).await.unwrap();
    let before = fs::read(&path).unwrap();
    let _ = erase(&keyring, world.store.as_ref(), &[leaf_stone(tenant(1), Half::Data, 16)]).await;
    fs::write(&path, &before).unwrap();
    let refused = world.open().await.unlock(&world::seal_key()).await;
    assert!(matches!(refused, Err(KeyError::Mismatch(_))), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
