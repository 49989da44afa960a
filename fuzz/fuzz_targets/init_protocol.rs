//! The stream between a host and init, in both directions: whatever arrives, the decoder gives messages or one error, and a
//! message that was read is written as the same bytes again. The bounded form that always runs is in `crates/wire/src`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use wire::frame::{Decoder, encode};

fuzz_target!(|bytes: &[u8]| {
    read::<wire::init::Event>(bytes);
    read::<wire::init::Command>(bytes);
});

fn read<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let mut decoder = Decoder::new();
    for piece in bytes.chunks(7) {
        decoder.push(piece);
        while let Ok(Some(message)) = decoder.message::<T>() {
            let mut again = Vec::new();
            encode(&message, &mut again).expect("a message that was read can be written");
            let mut second = Decoder::new();
            second.push(&again);
            assert_eq!(second.message::<T>(), Ok(Some(message)));
        }
    }
}
