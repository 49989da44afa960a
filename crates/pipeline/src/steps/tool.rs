//! `tool`: where a program's home is, and `envVarsForTool`: what finds it there. Cofferdam installs none; what the run was told of, or else what
//! the place has, is what there is.

use groovy::value::Value;
use model::request::{Reply, Request, ShellScript};
use model::run::InstalledTool;

use super::{StepCall, unexpected};
use crate::engine::fault::Fault;
use crate::engine::values;

/// Words in the type or the name of a tool, and the program that it is for. The first that is found decides.
const PROGRAMS: &[(&str, &str)] = &[
    ("sonar", "sonar-scanner"),
    ("maven", "mvn"),
    ("mvn", "mvn"),
    ("gradle", "gradle"),
    ("groovy", "groovy"),
    ("nodejs", "node"),
    ("node", "node"),
    ("npm", "node"),
    ("docker", "docker"),
    ("terraform", "terraform"),
    ("ansible", "ansible"),
    ("kubectl", "kubectl"),
    ("golang", "go"),
    ("python", "python3"),
    ("dotnet", "dotnet"),
    ("cmake", "cmake"),
    ("sbt", "sbt"),
    ("git", "git"),
    ("jdk", "java"),
    ("java", "java"),
    ("jre", "java"),
    ("ant", "ant"),
    ("go", "go"),
];

/// Prints the home of the program whose name is the first argument: the folder around its `bin`.
const FIND: &str = r#"program=$(command -v PROGRAM) || exit 1
real=$(readlink -f "$program")
case $real in */bin/*) program=$real ;; esac
dirname "$(dirname "$program")"
"#;

/// Of a program: the variables with its home, and what its part of PATH is called. Source: `buildEnvVars` of Jenkins' installations.
const VARIABLES: &[(&str, &[&str], &str)] = &[
    ("mvn", &["M2_HOME", "MAVEN_HOME"], "MAVEN"),
    ("java", &["JAVA_HOME"], "JDK"),
    ("ant", &["ANT_HOME"], "ANT"),
    ("gradle", &["GRADLE_HOME"], "GRADLE"),
    ("groovy", &["GROOVY_HOME"], "GROOVY"),
    ("node", &["NODEJS_HOME"], "NODEJS"),
    ("go", &["GOROOT"], "GOROOT_BIN"),
    ("sonar-scanner", &["SONAR_RUNNER_HOME"], "SONAR"),
];

/// `tool 'M3'`, `tool(name: 'jdk17', type: 'jdk')`. Its value is the folder that the run was told of, or else the home of what the place has, as if
/// that were the installation of that name: `"${tool 'M3'}/bin/mvn"` runs. For git it is the program itself, as in Jenkins.
///
/// Source: `ToolStep` of workflow-basic-steps.
pub(crate) async fn tool(call: StepCall) -> Result<Value, Fault> {
    let node = call.node()?;
    let (kind, name) = (call.args.opt_text("type")?.unwrap_or_default(), call.args.text("name")?);
    if let Some(InstalledTool { folder, .. }) = installed(&call.core.facts.tools, &kind, &name) {
        let there = Request::FileExists { job: node.job, path: folder.clone() };
        if let Reply::Bool(false) = call.ask(there).await? {
            call.say(&format!("WARNING: the tool ‘{name}’ is not here: there is no {folder}"));
        }
        return Ok(values::text(folder));
    }
    home(&call, &kind, &name).await.map(|home| values::text(&home))
}

/// `withEnv(envVarsForTool(toolId: 'maven', toolVersion: 'M3')) { … }`: a list of `NAME=value`.
///
/// Source: `EnvVarsForToolStep` of pipeline-model-definition.
pub(crate) async fn variables(call: StepCall) -> Result<Value, Fault> {
    let (kind, name) = (call.args.text("toolId")?, call.args.text("toolVersion")?);
    let program = program_of(&kind, &name).unwrap_or_default();
    let folder = match installed(&call.core.facts.tools, &kind, &name) {
        Some(tool) => tool.folder.clone(),
        None => home(&call, &kind, &name).await?,
    };
    Ok(Value::list(variables_of(program, &folder).iter().map(|pair| values::text(pair)).collect()))
}

/// The tool of that name among those that are there; an empty kind is any.
pub(crate) fn installed<'f>(tools: &'f [InstalledTool], kind: &str, name: &str) -> Option<&'f InstalledTool> {
    let program = |kind: &str| program_of(kind, "");
    let is_same = |of: &str| kind.is_empty() || of == kind || (program(of).is_some() && program(of) == program(kind));
    let mut named = tools.iter().filter(|tool| tool.name == name);
    let of_kind = named.clone().find(|tool| !tool.kind.is_empty() && is_same(&tool.kind));
    of_kind.or_else(|| named.find(|tool| tool.kind.is_empty()))
}

fn variables_of(program: &str, folder: &str) -> Vec<String> {
    if folder == "git" {
        return Vec::new();
    }
    match VARIABLES.iter().find(|(of, ..)| *of == program) {
        Some((_, homes, part)) => {
            let homes = homes.iter().map(|home| format!("{home}={folder}"));
            homes.chain([format!("PATH+{part}={folder}/bin")]).collect()
        }
        // Where such a tool has its programs nobody says.
        None => vec![format!("PATH+TOOL={folder}/bin:{folder}")],
    }
}

/// The home of what the place has.
async fn home(call: &StepCall, kind: &str, name: &str) -> Result<String, Fault> {
    let node = call.node()?;
    let none = || Fault::abort(format!("No tool named {name} found"));
    let Some(program) = program_of(kind, name) else {
        let hint = "Cofferdam installs no tools, and this name does not say which program it is: give the tool's `type`, or say where it is (--tool)";
        return Err(none().with_hint(hint));
    };
    if program == "git" {
        return Ok(program.to_owned());
    }
    let script = ShellScript {
        text: FIND.replace("PROGRAM", program),
        interpreter: Some(vec!["/bin/sh".to_owned()]),
        dir: call.cwd()?,
        env: call.core.env_for_process(&call.scope),
        capture: true,
        encoding: None,
        copies: Vec::new(),
    };
    match call.ask(Request::Exec { job: node.job, step: call.id, script }).await? {
        Reply::Exited { code: 0, stdout, .. } => Ok(stdout.unwrap_or_default().trim_end().to_owned()),
        Reply::Exited { .. } => {
            let hint = format!(
                "Cofferdam installs no tools, and there is no `{program}` here: use an image that has it, or say where it is (--tool)"
            );
            Err(none().with_hint(hint))
        }
        reply => Err(unexpected(&reply)),
    }
}

fn program_of(kind: &str, name: &str) -> Option<&'static str> {
    let class = kind.rsplit(['.', '$']).next().unwrap_or_default();
    [class, name].iter().find_map(|text| {
        let text = text.to_lowercase();
        // `M3`: what Jenkins' own examples call their Maven.
        let is_maven = text.strip_prefix('m').is_some_and(|rest| rest.starts_with(['2', '3', '4']));
        let named = PROGRAMS.iter().find(|(word, _)| text.contains(word)).map(|(_, program)| *program);
        named.or(is_maven.then_some("mvn"))
    })
}

#[cfg(test)]
mod tests {
    use super::program_of;

    #[test]
    fn programs_are_read_in_types_and_names() {
        for (kind, name, program) in [
            ("", "M3", "mvn"),
            ("", "Maven 3.5.0", "mvn"),
            ("jdk", "M3", "java"),
            ("hudson.model.JDK", "8", "java"),
            ("org.jenkinsci.plugins.docker.commons.tools.DockerTool", "x", "docker"),
            ("hudson.plugins.sonar.SonarRunnerInstallation", "S", "sonar-scanner"),
            ("com.cloudbees.jenkins.plugins.customtools.CustomTool", "gradle-7", "gradle"),
        ] {
            assert_eq!(program_of(kind, name), Some(program), "{kind} {name}");
        }
        assert_eq!(program_of("", "LOCAL"), None);
    }
}
