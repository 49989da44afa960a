//! The flags of `lint` and `steps`.

use std::path::PathBuf;

use agent::KnownLibrary;
use clap::{Args, ValueEnum};
use model::run::InstalledTool;

use super::OutputFormat;
use super::parse::{parse_library, parse_tool};

/// `cofferdam lint`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cofferdam lint                              the Jenkinsfile here
  cofferdam lint . --deny warnings            every definition below this folder; warnings count
  cofferdam lint --output sarif > lint.sarif  for code scanning
  git show HEAD:Jenkinsfile | cofferdam lint -
  cofferdam lint --load-library tools         a library is there although the Jenkinsfile does not name it

In folders: Jenkinsfile*, *.jenkinsfile, and of libraries vars/*.groovy and src/**/*.groovy (their syntax and names).

With --output json one object a file: {\"file\", \"valid\", \"diagnostics\": [{\"line\", \"column\", \"endLine\", \"endColumn\", \"severity\",
\"rule\", \"message\", \"hint\", \"replacement\"}]}. `cofferdam steps --rules` lists the rules.
The exit code is 5 if one file is invalid.")]
pub struct LintArgs {
    /// Definitions, folders, or patterns such as '**/Jenkinsfile'; `-` reads standard input
    #[arg(default_value = "Jenkinsfile", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// A folder with more steps, beside those in .cofferdam/steps where a definition lies; may be repeated
    #[arg(long, value_name = "DIR")]
    pub steps: Vec<PathBuf>,
    /// A shared library, as for `run`: the variables of a folder are known where a definition asks for it. May be repeated
    #[arg(long = "library", value_name = "NAME=PLACE[@VERSION]", value_parser = parse_library)]
    pub libraries: Vec<KnownLibrary>,
    /// Every definition has this library, as if it began with `@Library('NAME') _`; without `--library NAME=FOLDER` it may define any
    /// name, so that none is unknown. May be repeated
    #[arg(long = "load-library", value_name = "NAME[@VERSION]")]
    pub load_libraries: Vec<String>,
    /// A tool that runs are told of, so that `tools { … }` finds it; may be repeated
    #[arg(long = "tool", value_name = "[KIND:]NAME=FOLDER", value_parser = parse_tool)]
    pub tools: Vec<InstalledTool>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = LintFormat::Text, value_name = "FORMAT")]
    pub output: LintFormat,
    /// Findings of this rule make a file invalid; `warnings`: all that are no notes; may be repeated
    #[arg(long, value_name = "RULE")]
    pub deny: Vec<String>,
    /// Do not say what this rule finds, where it is no error; may be repeated
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// For people, with the line
    Text,
    /// JSON, one object a file
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
    /// A report of GitLab Code Quality
    Gitlab,
}

/// `cofferdam steps`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cofferdam steps                   everything, with what runs
  cofferdam steps sh                the page of a step
  cofferdam steps 'when branch'     of what has that name, only the condition
  cofferdam steps --rules           what `cofferdam lint` finds")]
pub struct StepsArgs {
    /// A step, directive, agent, option, parameter, trigger, tool, condition or value
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Only what runs
    #[arg(long, conflicts_with_all = ["name", "rules", "markdown"])]
    pub supported: bool,
    /// The rules of `lint`
    #[arg(long, conflicts_with_all = ["name", "markdown"])]
    pub rules: bool,
    /// A page of the reference (docs/reference), as Markdown
    #[arg(long, value_enum, conflicts_with = "name", value_name = "PAGE")]
    pub markdown: Option<ReferencePage>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    pub output: OutputFormat,
}

/// The pages of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReferencePage {
    /// Steps
    Steps,
    /// Everything else
    Directives,
    /// The table of rules in the guide of `lint`
    Rules,
}
