//! `md5`, `sha1`, `sha256`, `sha512`, and the steps that compare: `verifyMd5` and its like.

use groovy::value::Value;
use model::request::{DigestAlgorithm, Reply, Request};

use super::super::{StepCall, unexpected};
use super::NO_FILE;
use crate::engine::fault::Fault;
use crate::engine::values;

/// `sha256 'file'` and its like, by the name of the step: the digest of a file in hexadecimal digits; null, where there is no file.
///
/// Source: `FileHashStep` and `ComputeHashCallable`.
pub(crate) async fn hash(call: StepCall) -> Result<Value, Fault> {
    let (algorithm, _) = algorithm(&call.args.step)?;
    match digest(&call, algorithm).await {
        Ok(hex) => Ok(values::text(&hex)),
        Err(fault) if fault.class() == NO_FILE => Ok(Value::Null),
        Err(fault) => Err(fault),
    }
}

/// `verifySha256 file: 'x', hash: '…'`: fails where the digest is another.
///
/// Source: `FileVerifyHashStep`.
pub(crate) async fn verify(call: StepCall) -> Result<Value, Fault> {
    let (algorithm, name) = algorithm(&call.args.step)?;
    let (file, expected) = (call.args.text("file")?, call.args.text("hash")?);
    let actual = digest(&call, algorithm).await.map_err(|fault| match &*fault.class() {
        NO_FILE => Fault::raised(NO_FILE, format!("File not found: {file}")),
        _ => fault,
    })?;
    match actual.eq_ignore_ascii_case(expected.trim()) {
        true => Ok(Value::Null),
        false => Err(Fault::abort(format!(
            "{name} hash mismatch: expected: '{expected}', actual: '{actual}' for file '{file}'"
        ))),
    }
}

fn algorithm(step: &str) -> Result<(DigestAlgorithm, &'static str), Fault> {
    Ok(match step {
        "md5" | "verifyMd5" => (DigestAlgorithm::Md5, "MD5"),
        "sha1" | "verifySha1" => (DigestAlgorithm::Sha1, "SHA1"),
        "sha256" | "verifySha256" => (DigestAlgorithm::Sha256, "SHA-256"),
        "sha512" | "verifySha512" => (DigestAlgorithm::Sha512, "SHA-512"),
        other => return Err(Fault::illegal(format!("{other} is no digest"))),
    })
}

async fn digest(call: &StepCall, algorithm: DigestAlgorithm) -> Result<String, Fault> {
    let (job, path) = (call.node()?.job, call.path(&call.args.text("file")?)?);
    match call.ask(Request::Digest { job, path: path.clone(), algorithm }).await {
        Ok(Reply::Text(hex)) => Ok(hex),
        Ok(reply) => Err(unexpected(&reply)),
        Err(fault) if fault.message().contains("NoSuchFileException") => {
            Err(Fault::raised(NO_FILE, format!("{path} does not exist.")))
        }
        Err(fault) if fault.message().to_lowercase().contains("is a directory") => {
            Err(Fault::raised(NO_FILE, format!("{path} is a directory.")))
        }
        Err(fault) => Err(fault),
    }
}
