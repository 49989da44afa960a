//! A table of the machine's firmware that names the places for devices which are empty at the machine's start.
//!
//! QEMU's own table names only those that have a device. A copy of a machine that was saved without disks finds its disks in the
//! places of this one. Source: ACPI 6.5, chapters 19 and 20 (byte code), and `hw/i386/microvm.c` of QEMU (addresses and
//! interrupts of the places).

/// Places of a machine. In the last one, place 0, a device keeps the machine from starting (QEMU 7.2).
const PLACES: std::ops::RangeInclusive<u32> = 1..=23;
/// Taken by what every machine has: ports and random numbers.
pub(crate) const TAKEN: usize = 2;
const FIRST_ADDRESS: u32 = 0xfeb0_0000;
const BYTES: u32 = 512;
const FIRST_INTERRUPT: u32 = 24;

/// Where the kernel looks for it in an initial file system.
pub(super) const PATH: [&str; 4] =
    ["kernel", "kernel/firmware", "kernel/firmware/acpi", "kernel/firmware/acpi/ssdt.aml"];

/// The table. The kernel numbers the places in its order, after those that QEMU's names.
pub(super) fn table() -> Vec<u8> {
    let empty = PLACES.rev().skip(TAKEN);
    let mut scope = b"\\_SB_".to_vec();
    empty.for_each(|place| scope.extend(device(place)));
    let mut code = vec![0x10];
    code.extend(package(scope));
    let length = u32::try_from(36 + code.len()).unwrap_or(u32::MAX);
    let mut table = b"SSDT".to_vec();
    table.extend(length.to_le_bytes());
    // Revision, and a checksum to be filled in.
    table.extend([2, 0]);
    table.extend(b"COFFERPLACES  ");
    table.extend(1_u32.to_le_bytes());
    table.extend(b"COFF");
    table.extend(1_u32.to_le_bytes());
    table.extend(code);
    let sum = table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    table[9] = sum.wrapping_neg();
    table
}

fn device(place: u32) -> Vec<u8> {
    // Memory32Fixed, writable; Interrupt, consumed, level, high, exclusive; end.
    let mut resources = vec![0x86, 9, 0, 1];
    resources.extend((FIRST_ADDRESS + BYTES * place).to_le_bytes());
    resources.extend(BYTES.to_le_bytes());
    resources.extend([0x89, 6, 0, 1, 1]);
    resources.extend((FIRST_INTERRUPT + place).to_le_bytes());
    resources.extend([0x79, 0]);
    let mut buffer = integer(u32::try_from(resources.len()).unwrap_or(0));
    buffer.extend(resources);
    let mut body = format!("LR{place:02}").into_bytes();
    body.extend(named(b"_HID", b"\x0dLNRO0005\0"));
    body.extend(named(b"_UID", &integer(place)));
    body.extend(named(b"_CCA", &integer(1)));
    body.extend(named(b"_CRS", &[vec![0x11], package(buffer)].concat()));
    [vec![0x5b, 0x82], package(body)].concat()
}

fn named(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [&[0x08], name.as_slice(), data].concat()
}

fn integer(value: u32) -> Vec<u8> {
    let [low, high, ..] = value.to_le_bytes();
    vec![0x0b, low, high]
}

/// With its length before it, which counts itself: six bits in one byte, or four in the first and eight in each further one.
fn package(body: Vec<u8>) -> Vec<u8> {
    let mut bytes = match body.len() {
        length if length + 1 < 64 => vec![(length + 1) as u8],
        length if length + 2 < 1 << 12 => {
            let total = length + 2;
            vec![0x40 | (total & 15) as u8, (total >> 4) as u8]
        }
        length => {
            let total = length + 3;
            vec![0x80 | (total & 15) as u8, (total >> 4) as u8, (total >> 12) as u8]
        }
    };
    bytes.extend(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let table = table();
        assert_eq!(table.len(), u32::from_le_bytes(table[4..8].try_into().unwrap()) as usize);
        assert_eq!(table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        let count = table.windows(4).filter(|window| window.starts_with(b"LR") && window[2].is_ascii_digit()).count();
        assert_eq!(count, 21);
    }

    /// The compiler of the people who wrote the specification reads it.
    #[test]
    fn iasl_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssdt.aml");
        std::fs::write(&path, table()).unwrap();
        let output = std::process::Command::new("iasl").arg("-d").arg(&path).output();
        let Ok(output) = output else {
            println!("skipped: iasl (acpica-tools) is not installed");
            return;
        };
        let source = std::fs::read_to_string(folder.path().join("ssdt.dsl")).unwrap_or_default();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(source.matches("LNRO0005").count(), 21, "{source}");
        assert!(source.contains("0xFEB02A00") && source.contains("0x0000002D"), "{source}");
    }
}
