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
use super::jenkins::form::pairs;
use crate::app::App;

/// Name of the field with the definition.
const FIELD: &str = "jenkinsfile";
/// Errors that are told.
const MOST_ERRORS: usize = 50;
/// Of a line, in characters.
const MOST_CHARS: usize = 160;

pub(super) async fn validate(State(app): State<Arc<App>>, _user: User, request: Request) -> Result<String, Refused> {
    let text = definition(request).await?;
    let findings = app.checks.findings(&app.hub, text.clone()).await;
    let findings = findings.map_err(|failure| Refused(StatusCode::SERVICE_UNAVAILABLE, failure.message))?;
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
    for error in errors.iter().take(MOST_ERRORS) {
        let (line, column, source) = place(text, error.start as usize);
        let (source, before) = excerpt(source, column - 1);
        // Writing to a string cannot fail.
        let _ = writeln!(said, "WorkflowScript: {line}: {} @ line {line}, column {column}.", error.message);
        let _ = writeln!(said, "   {source}\n   {}^\n", " ".repeat(before));
    }
    if errors.len() > MOST_ERRORS {
        let _ = writeln!(said, "and {} more", errors.len() - MOST_ERRORS);
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

/// What of a line is shown: a long one around that place. How many characters are before it there.
fn excerpt(line: &str, place: usize) -> (String, usize) {
    let skipped = (place + MOST_CHARS / 2).saturating_sub(MOST_CHARS);
    (line.chars().skip(skipped).take(MOST_CHARS).collect(), place - skipped)
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
    #[test]
    fn what_is_told_has_an_end() {
        let text = format!("/*{}*/", "x".repeat(1 << 20));
        let find = Finding { is_error: true, start: 1 << 20, end: 1 << 20, message: "wrong".into(), hint: None };
        let said = in_words(&text, &vec![find; 500]);
        assert!(said.len() < 100_000 && said.ends_with("and 450 more\n"), "{}", said.len());
        assert!(said.lines().all(|line| line.len() < 200));
        assert_eq!(excerpt("0123456789", 3), ("0123456789".to_owned(), 3));
    }
}
