//! What went wrong in a text, and where. The front end collects these; it never stops at the first.

use crate::span::Span;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a look; the text is accepted.
    Warning,
    /// The text is rejected.
    Error,
}

/// A text that would put a finding right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it stands for.
    pub span: Span,
    /// The text.
    pub text: String,
}

/// One finding with its place, and a hint where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the text is rejected for it.
    pub severity: Severity,
    /// Where.
    pub span: Span,
    /// What, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The stable name of the rule that found it, where one did.
    pub rule: Option<&'static str>,
    /// What to write instead, where that is known.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A finding without a hint.
    pub fn new(severity: Severity, span: Span, message: impl Into<String>) -> Self {
        Diagnostic { severity, span, message: message.into(), hint: None, rule: None, fix: None }
    }

    /// An error without a hint.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Diagnostic::new(Severity::Error, span, message)
    }

    /// A warning without a hint.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Diagnostic::new(Severity::Warning, span, message)
    }

    /// Adds a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which rule has found it.
    pub fn of_rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Adds what to write instead.
    pub fn with_fix(mut self, span: Span, text: impl Into<String>) -> Self {
        self.fix = Some(Fix { span, text: text.into() });
        self
    }
}
