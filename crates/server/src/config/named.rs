//! What definitions of a project find by its name: shared libraries, tools and templates of pods.

use model::pod::PodDefinition;
use model::run::{InstalledTool, RunFacts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::agent::{Login, SharedLibrary};

use super::{Fetcher, ProjectConfig};

/// A shared library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LibraryConfig {
    /// What definitions call it.
    pub name: String,
    /// Its repository: `https://…`
    pub url: String,
    /// The branch, tag or commit for definitions that name none; `None`: its default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Definitions have it without asking.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implicit: bool,
    /// Who fetches it. No workload sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Fetcher>)]
    pub login: Option<Login>,
}

/// A tool that is there already: nothing installs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolConfig {
    /// What definitions call it (`tool 'M3'`, `tools { maven 'M3' }`).
    pub name: String,
    /// `maven`, `jdk` …; none: whatever is asked for by that name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The folder around its `bin`.
    pub folder: String,
}

impl ToolConfig {
    pub(super) fn installed(&self) -> InstalledTool {
        let ToolConfig { name, kind, folder } = self.clone();
        InstalledTool { name, kind, folder }
    }
}

/// A template of pods: what an administrator of a Jenkins defines for its kubernetes plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PodTemplateConfig {
    /// What definitions call it (`inheritFrom 'maven'`), and a label that it has (`agent { label 'maven' }`).
    pub name: String,
    /// The pod as Kubernetes writes it: `kind: Pod`. Nothing in it is secret.
    pub yaml: String,
}

impl PodTemplateConfig {
    fn defined(&self) -> PodDefinition {
        let PodTemplateConfig { name, yaml } = self.clone();
        PodDefinition { name, yaml }
    }
}

/// What of templates cannot be meant. Whether each is a pod whoever evaluates a run sees.
pub(super) fn flaw_of_pods(templates: &[PodTemplateConfig]) -> Option<&'static str> {
    let defined: Vec<_> = templates.iter().map(PodTemplateConfig::defined).collect();
    PodDefinition::flaw(&defined)
}

impl ProjectConfig {
    /// What agents are told of its libraries.
    pub(crate) fn shared_libraries(&self) -> Vec<SharedLibrary> {
        let shared = |library: &LibraryConfig| {
            let LibraryConfig { name, url, version, login, .. } = library.clone();
            SharedLibrary { name, url, version, login }
        };
        self.libraries.iter().map(shared).collect()
    }

    /// The libraries that its definitions have without asking.
    fn implicit_libraries(&self) -> Vec<String> {
        self.libraries.iter().filter(|library| library.implicit).map(|library| library.name.clone()).collect()
    }

    /// What a run of it begins with.
    pub(crate) fn facts_of(&self, facts: &RunFacts) -> RunFacts {
        let tools = self.tools.iter().map(ToolConfig::installed).collect();
        let pods = self.pod_templates.iter().map(PodTemplateConfig::defined).collect();
        let records_deliveries = self.record_deliveries;
        let repository = self.source.address();
        RunFacts { libraries: self.implicit_libraries(), repository, tools, pods, records_deliveries, ..facts.clone() }
    }
}
