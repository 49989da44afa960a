//! What a Docker Engine takes of a machine.

use std::path::Path;

use super::MicroVmConfig;
use crate::CreateError;

/// What the engine itself needs of a machine's memory.
pub(super) const MEMORY: u64 = 320 << 20;
/// The least that its file system may have room for.
pub(super) const SMALLEST_DISK: u64 = 256 << 20;

/// The file with the programs.
pub(super) fn programs(config: &MicroVmConfig) -> Result<&Path, CreateError> {
    config.engine.as_deref().ok_or_else(|| CreateError::Unsupported {
        reason: "there is no Docker Engine for machines: `cofferdam guest build --engine` makes one".into(),
    })
}
