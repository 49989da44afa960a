//! What stands in for the public image `python:3-slim`, which `examples/tides` is built from: this host's Python and busybox's shell.

use std::process::Command;

use crate::images::docker_archive;
use crate::project::{cofferdam, finish};

pub const PYTHON: &str = "python:3-slim";

/// What nothing of a server, a test or a program needs is left out: half of it is a static library.
const MAKE: &str = r#"
set -e; cd "$0"
python=$(readlink -f /usr/bin/python3)
lib=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
mkdir -p usr/bin usr/lib64 etc root "./${lib%/*}"; mkdir -m 1777 tmp
for link in bin lib lib64; do ln -s usr/$link $link; done
cp "$python" usr/bin/python3; ln -s python3 usr/bin/python
cp -a "$lib" "./${lib%/*}/"
(cd ".$lib"; rm -rf config-* test lib2to3 distutils pydoc_data idlelib ensurepip)
cp /bin/busybox usr/bin/; for applet in sh cat ls; do ln -s busybox usr/bin/$applet; done
for file in "$python" "$lib"/lib-dynload/*.so; do ldd "$file" 2> /dev/null; done | grep -o '/[^ ]*' | sort -u |
  while read -r file; do target=.$(readlink -f "$(dirname "$file")")/$(basename "$file")
    mkdir -p "$(dirname "$target")"; cp -L "$file" "$target"; done
echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd; echo 'root:x:0:' > etc/group
"#;

/// Puts it into the store that all tests share. `false`, with the reason printed, where it cannot be made.
pub fn put() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("sh").args(["-c", MAKE]).arg(folder.path()).output().unwrap();
    if !made.status.success() {
        println!(
            "skipped: no image can be made of this host's Python: {}",
            String::from_utf8_lossy(&made.stderr).trim()
        );
        return false;
    }
    let mut layer = tar::Builder::new(Vec::new());
    layer.follow_symlinks(false);
    layer.append_dir_all(".", folder.path()).unwrap();
    let config = r#"{"Env":["PATH=/usr/bin:/bin"]}"#;
    let file = docker_archive(&[PYTHON], config, &layer.into_inner().unwrap());
    let imported = finish(cofferdam().args(["image", "import"]).arg(file.path()).output().unwrap());
    assert_eq!(imported.code, 0, "{imported:?}");
    true
}
