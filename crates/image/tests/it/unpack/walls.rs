//! The walls around the children stand, and each probe can fire where they do not.

use image::unpack::UnpackError;
use image::unpack::probe::{Deed, FORBIDDEN, Standing};

use super::converter;

#[test]
fn without_walls_every_deed_succeeds() {
    for deed in FORBIDDEN.into_iter().chain([Deed::Nothing, Deed::Memory, Deed::Time]) {
        if deed == Deed::TraceParent && !super::is_root() {
            println!("skipped: tracing the parent needs root where the kernel restricts it");
            continue;
        }
        let done = converter().probe(deed, Standing::None);
        assert!(done.is_ok(), "{deed:?}: {done:?}");
    }
}

#[test]
fn with_walls_none_does() {
    let walls = converter().probe(Deed::Nothing, Standing::All).unwrap().walls;
    assert!(walls.seccomp);
    for deed in FORBIDDEN {
        match converter().probe(deed, Standing::All) {
            Err(UnpackError::ChildForbidden { .. }) => {}
            other => panic!("{deed:?}: {other:?}"),
        }
    }
}

#[test]
fn landlock_stands_by_itself() {
    let walls = converter().probe(Deed::Nothing, Standing::Landlock).unwrap().walls;
    if walls.landlock_abi.is_none() {
        println!("skipped: this kernel has no Landlock");
        return;
    }
    for deed in [Deed::OpenFile, Deed::CreateFile, Deed::Exec] {
        match converter().probe(deed, Standing::Landlock) {
            Err(UnpackError::Output(message)) => assert!(message.contains("denied"), "{deed:?}: {message}"),
            other => panic!("{deed:?}: {other:?}"),
        }
    }
}

#[test]
fn memory_and_time_end() {
    match converter().probe(Deed::Memory, Standing::All) {
        Err(UnpackError::ChildMemory { limit, .. }) => assert_eq!(limit, 256 << 20),
        other => panic!("{other:?}"),
    }
    match converter().probe(Deed::Time, Standing::All) {
        Err(UnpackError::ChildTime { limit: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
}
