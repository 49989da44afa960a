//! What stops a conversion inside a confined child.

use std::io;

use serde::{Deserialize, Serialize};

use super::{LayerReport, Refusal};

/// Why a child stops early.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The archive has something in it that no layer may have.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The input cannot be read.
    #[error("cannot read: {0}")]
    Input(io::Error),
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Output(io::Error),
    /// The ids of a folder cannot be mapped.
    #[error("{0}")]
    IdMap(String),
}

/// What a child says on its standard error, as one line of JSON, before it exits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// Done.
    Done(LayerReport),
    /// See [`Fault::Refused`].
    Refused(Refusal),
    /// See [`Fault::Input`].
    Input(String),
    /// See [`Fault::Output`].
    Output(String),
    /// See [`Fault::IdMap`].
    IdMap(String),
    /// The walls could not be raised.
    Confine(String),
}

impl From<Fault> for Said {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(refusal) => Said::Refused(refusal),
            Fault::Input(error) => Said::Input(error.to_string()),
            Fault::Output(error) => Said::Output(error.to_string()),
            Fault::IdMap(message) => Said::IdMap(message),
        }
    }
}

/// A name of the archive as it may be shown: escaped and not too long.
pub(super) fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(&name[..name.len().min(LONGEST)]);
    let mut text: String = text.escape_debug().collect();
    if name.len() > LONGEST {
        text.push('…');
    }
    text
}
