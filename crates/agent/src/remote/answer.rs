//! What an agent may answer.

use model::request::{Failure, FailureKind, Reply};
use wire::engine::MAX_LINE_BYTES;

/// What stands around an answer in a line and in a message, at most, in bytes.
const MOST_AROUND: usize = 4096;

/// The reply, if it fits into a line of an engine, and into a message with it: a longer one would end the connection, again and again.
pub(super) fn bounded(reply: Reply) -> Reply {
    if serde_json::to_writer(Room(MAX_LINE_BYTES - MOST_AROUND), &reply).is_ok() {
        return reply;
    }
    let message = format!("the answer to this is longer than {} MiB, and no pipeline takes that", MAX_LINE_BYTES >> 20);
    Reply::Failed(Failure { kind: FailureKind::Workload, message, hint: None })
}

/// So many bytes.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_no_message_takes_is_a_failure() {
        let short = Reply::Text("x".repeat(1000));
        assert_eq!(bounded(short.clone()), short);
        // What is escaped is longer than it was.
        let long = Reply::Text("\u{1}".repeat(MAX_LINE_BYTES / 6));
        assert!(matches!(bounded(long), Reply::Failed(_)));
    }
}
