//! What a run is given of credentials.

use std::path::PathBuf;

use clap::Args;

/// Where credentials come from.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Credentials")]
pub struct CredentialArgs {
    /// A file with credentials for `withCredentials`, `credentials('id')` and `credentialsId` [default:
    /// ~/.config/cofferdam/credentials.toml, where it is]
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,

    /// One credential: a secret text from a variable, or a secret file; may be repeated. A variable COFFERDAM_CREDENTIAL_<ID> gives
    /// one, too
    #[arg(long = "credential", value_name = "ID=env:NAME|ID=file:PATH", value_parser = parse)]
    pub one: Vec<GivenCredential>,
}

/// `--credential`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenCredential {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub from: CredentialSource,
}

/// Where the value of a credential is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// In a variable of the environment: a secret text.
    Env(String),
    /// It is a secret file.
    File(PathBuf),
}

fn parse(text: &str) -> Result<GivenCredential, String> {
    let wrong =
        || "expected ID=env:NAME or ID=file:PATH; a value itself would be seen by everybody on this machine".to_owned();
    let (id, source) = text.split_once('=').filter(|(id, _)| !id.is_empty()).ok_or_else(wrong)?;
    let from = match source.split_once(':') {
        Some(("env", name)) if !name.is_empty() => CredentialSource::Env(name.to_owned()),
        Some(("file", path)) if !path.is_empty() => CredentialSource::File(path.into()),
        _ => return Err(wrong()),
    };
    Ok(GivenCredential { id: id.to_owned(), from })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_no_argument() {
        let given = |id: &str, from| Ok(GivenCredential { id: id.to_owned(), from });
        assert_eq!(parse("a-b=env:TOKEN"), given("a-b", CredentialSource::Env("TOKEN".to_owned())));
        assert_eq!(parse("a=file:x/y=z:1"), given("a", CredentialSource::File("x/y=z:1".into())));
        for text in ["a", "a=b", "=env:X", "a=env:", "a=file:", "a=value:x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
