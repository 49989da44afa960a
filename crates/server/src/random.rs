//! Secrets.

use std::fs::File;
use std::io::Read as _;

/// 256 bits of the kernel's, in hexadecimal digits behind a word that tells what the secret is for.
pub(crate) fn secret(word: &str) -> String {
    let mut bytes = [0_u8; 32];
    // Without random numbers there is no server.
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    assert!(read.is_ok(), "/dev/urandom: {read:?}");
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{word}_{digits}")
}
