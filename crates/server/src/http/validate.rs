//! `POST /pipeline-model-converter/validate`: what editors and hooks ask a Jenkins before a definition is pushed.
//!
//! Source: `ModelConverterAction` of pipeline-model-definition. A script that is no declarative pipeline is checked as one here, and found
//! valid, where Jenkins says only that it has no `pipeline` step.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Multipart, Request, State};
use axum::http::StatusCode;
use wire::engine::Finding;

use super::auth::User;
use super::error::Refused;
use super::jenkins::pairs;
use crate::app::App;

/// Name of the field with the definition.
const FIELD: &str = "jenkinsfile";

pub(super) async fn validate(State(app): State<Arc<App>>, _user: User, request: Request) -> Result<String, Refused> {
    let text = definition(request).await?;
    let findings = app.checks.read(&app.hub, text.clone()).await;
    let findings = findings.map_err(|reason| Refused(StatusCode::SERVICE_UNAVAILABLE, reason))?;
    Ok(in_words(&text, &findings))
}

/// From a form, of either kind.
async fn definition(request: Request) -> Result<String, Refused> {
    let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let missing =
        || Refused::bad(format!("a form with the field {FIELD} is expected: curl -F \"{FIELD}=<Jenkinsfile\""));
    let unreadable = |error: &dyn std::error::Error| Refused::bad(format!("the form cannot be read: {error}"));
    if kind.starts_with("multipart/form-data") {
        let form = Multipart::from_request(request, &()).await;
        let mut form = form.map_err(|error| unreadable(&error))?;
        while let Some(field) = form.next_field().await.map_err(|error| unreadable(&error))? {
            if field.name() == Some(FIELD) {
                return field.text().await.map_err(|error| unreadable(&error));
            }
        }
        return Err(missing());
    }
    let body = Bytes::from_request(request, &()).await.map_err(|error| unreadable(&error))?;
    let body = String::from_utf8_lossy(&body);
    pairs(&body).find(|(name, _)| name == FIELD).map(|(_, text)| text).ok_or_else(missing)
}

/// In Jenkins' words.
fn in_words(text: &str, findings: &[Finding]) -> String {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.is_error).collect();
    if errors.is_empty() {
        return "Jenkinsfile successfully validated.\n".to_owned();
    }
    let mut said = "Errors encountered validating Jenkinsfile:\n".to_owned();
    for error in errors {
        let (line, column, source) = place(text, error.start as usize);
        // Writing to a string cannot fail.
        let _ = writeln!(said, "WorkflowScript: {line}: {} @ line {line}, column {column}.", error.message);
        let _ = writeln!(said, "   {source}\n   {}^\n", " ".repeat(column - 1));
    }
    said
}

/// Line and column (in characters) from 1, and the line.
fn place(text: &str, offset: usize) -> (usize, usize, &str) {
    let before = text.get(..offset).unwrap_or(text);
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    (before.matches('\n').count() + 1, before[begin..].chars().count() + 1, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_as_jenkins_tells_them() {
        let text = "pipeline {\n  ägent any\n}\n";
        let find =
            |start, is_error| Finding { is_error, start, end: start, message: "Undefined section".into(), hint: None };
        assert_eq!(in_words(text, &[find(13, false)]), "Jenkinsfile successfully validated.\n");
        let said = in_words(text, &[find(13, true), find(10_000, true)]);
        assert!(said.starts_with("Errors encountered validating Jenkinsfile:\nWorkflowScript: 2: Undefined section @ line 2, column 3.\n     ägent any\n     ^\n"), "{said}");
        assert!(said.contains("@ line 4, column 1."), "{said}");
    }
}
