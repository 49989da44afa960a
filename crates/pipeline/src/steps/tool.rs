//! `tool`: where a program's home is. Cofferdam installs none; what the place has is what there is.

use groovy::value::Value;
use model::request::{Reply, Request, ShellScript};

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

/// `tool 'M3'`, `tool(name: 'jdk17', type: 'jdk')`. Its value is the home of what the place has, as if that were the installation of that
/// name: `"${tool 'M3'}/bin/mvn"` runs. For git it is the program itself, as in Jenkins.
///
/// Source: `ToolStep` of workflow-basic-steps.
pub(crate) async fn tool(call: StepCall) -> Result<Value, Fault> {
    let node = call.node()?;
    let name = call.args.text("name")?;
    let kind = call.args.opt_text("type")?.unwrap_or_default();
    let none = || Fault::abort(format!("No tool named {name} found"));
    let Some(program) = program_of(&kind, &name) else {
        let hint =
            "Cofferdam installs no tools, and this name does not say which program it is: give the tool's `type`";
        return Err(none().with_hint(hint));
    };
    if program == "git" {
        return Ok(values::text(program));
    }
    let script = ShellScript {
        text: FIND.replace("PROGRAM", program),
        interpreter: Some(vec!["/bin/sh".to_owned()]),
        dir: call.cwd()?,
        env: call.core.env_for_process(&call.scope),
        capture: true,
        encoding: None,
    };
    match call.ask(Request::Exec { job: node.job, step: call.id, script }).await? {
        Reply::Exited { code: 0, stdout, .. } => Ok(values::text(stdout.unwrap_or_default().trim_end())),
        Reply::Exited { .. } => {
            let hint =
                format!("Cofferdam installs no tools, and there is no `{program}` here: use an image that has it");
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
