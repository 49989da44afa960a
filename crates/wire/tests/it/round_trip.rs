//! What is encoded is decoded again, in pieces of any size.

use model::limits::MAX_FRAME_BYTES;
use wire::frame::{Decoder, FrameError, encode};
use wire::init::{Command, Event};

use crate::samples;

#[test]
fn every_message_survives_any_cut_of_the_stream() {
    let (commands, events) = (samples::commands(), samples::events());
    let mut bytes = Vec::new();
    commands.iter().for_each(|message| encode(message, &mut bytes).unwrap());
    for size in [1, 2, 3, 7, 1000, bytes.len()] {
        let (mut decoder, mut decoded) = (Decoder::new(), Vec::new());
        for piece in bytes.chunks(size) {
            decoder.push(piece);
            while let Some(message) = decoder.message::<Command>().unwrap() {
                decoded.push(message);
            }
        }
        assert_eq!(decoded, commands);
        assert_eq!(decoder.pending(), 0);
    }
    let mut bytes = Vec::new();
    events.iter().for_each(|message| encode(message, &mut bytes).unwrap());
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    let decoded: Vec<Event> = std::iter::from_fn(|| decoder.message().unwrap()).collect();
    assert_eq!(decoded, events);
}

#[test]
fn data_is_encoded_as_bytes() {
    let mut bytes = Vec::new();
    encode(&Event::Data { id: model::ids::ExecId(1), data: vec![0xaa; 1000].into() }, &mut bytes).unwrap();
    assert!(bytes.len() < 1016, "{}", bytes.len());
}

#[test]
fn a_message_above_the_limit_is_refused_by_both_sides() {
    let mut out = vec![1, 2, 3];
    let message = Command::Input { id: model::ids::ExecId(1), data: vec![0; MAX_FRAME_BYTES].into() };
    assert!(matches!(encode(&message, &mut out), Err(FrameError::TooLarge { .. })));
    assert_eq!(out, [1, 2, 3]);
    let mut decoder = Decoder::new();
    decoder.push(&u32::MAX.to_le_bytes());
    assert_eq!(decoder.message::<Event>(), Err(FrameError::TooLarge { bytes: u32::MAX as usize }));
    // It stays broken: the borders of frames are lost.
    decoder.push(&[0; 100]);
    assert!(decoder.message::<Event>().is_err());
    assert_eq!(decoder.pending(), 0);
}

#[test]
fn bytes_after_a_message_in_its_frame_are_refused() {
    let mut bytes = Vec::new();
    encode(&Command::Shutdown, &mut bytes).unwrap();
    bytes[0] += 3;
    bytes.extend_from_slice(&[0; 3]);
    let mut decoder = Decoder::new();
    decoder.push(&bytes);
    assert_eq!(decoder.message::<Command>(), Err(FrameError::Trailing { bytes: 3 }));
}
