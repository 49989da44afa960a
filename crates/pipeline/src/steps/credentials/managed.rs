//! Files that Jenkins would manage: here each is a credential that is a file, of the same id.

use groovy::value::Value;

use super::{Binding, Bound, StepCall, To, bind, run_script, unbind};
use crate::engine::fault::Fault;
use crate::engine::scope::join_path;
use crate::engine::values;

/// Most files of one block.
const MAX_FILES: usize = 100;
/// Where a file is, for [`PLACE`], and not for the block.
const UNNAMED: &str = "COFFERDAM_FILE";
/// Puts `$COFFERDAM_FILE` where it is wanted.
const PLACE: &str = r#"mkdir -p "$(dirname "$TARGET")" && cp "$COFFERDAM_FILE" "$TARGET" && chmod u+w "$TARGET"
"#;
/// Takes it away.
const REMOVE: &str = "rm -f \"$TARGET\"\n";

struct Managed {
    id: String,
    variable: Option<String>,
    /// Where it lies for the block, and after it, in the working folder; else in a folder of its own that goes with the block.
    target: Option<String>,
}

/// `configFileProvider([configFile(fileId: 'settings', variable: 'SETTINGS')]) { … }`
///
/// Source: `ConfigFileBuildWrapper` of the config-file-provider plugin, which leaves what has a target.
pub(crate) async fn config_file_provider(call: StepCall) -> Result<Value, Fault> {
    call.args.body()?;
    let list = call.args.get("managedFiles").and_then(|list| match list {
        Value::Map(_) => Some(vec![list.clone()]),
        list => list.items(),
    });
    let list = list.ok_or_else(|| Fault::illegal("configFileProvider takes a list of configFile(…)"))?;
    if list.len() > MAX_FILES {
        return Err(Fault::illegal(format!("configFileProvider takes at most {MAX_FILES} files")));
    }
    let files = list.iter().map(managed).collect::<Result<Vec<_>, _>>()?;
    with_files(call, &files, false).await
}

/// `withNPM(npmrcConfig: 'id') { … }`: the file is `.npmrc` for the block.
pub(crate) async fn with_npm(call: StepCall) -> Result<Value, Fault> {
    call.args.body()?;
    let id = call.args.text("npmrcConfig")?;
    with_files(call, &[Managed { id, variable: None, target: Some(".npmrc".to_owned()) }], true).await
}

fn managed(item: &Value) -> Result<Managed, Fault> {
    let fields = values::entries(item).unwrap_or_default();
    let given = |name: &str| {
        let value = fields.iter().find(|(key, value)| key == name && !value.is_null());
        value.map(|(_, value)| value.to_text()).filter(|text| !text.is_empty())
    };
    let id = given("fileId").ok_or_else(|| {
        Fault::illegal("Missing required parameter: \"fileId\"").with_hint("configFile(fileId: …, variable: …)")
    })?;
    if given("replaceTokens").is_some_and(|flag| flag == "true") {
        let text = format!("configFile(fileId: '{id}', replaceTokens: true) is not supported");
        return Err(Fault::raised("java.lang.UnsupportedOperationException", text)
            .with_hint("`envsubst < \"$FILE\"` in `sh` replaces variables"));
    }
    Ok(Managed { id, variable: given("variable"), target: given("targetLocation") })
}

async fn with_files(call: StepCall, files: &[Managed], go_after: bool) -> Result<Value, Fault> {
    let cwd = call.cwd()?;
    let (mut bound, mut vars, mut placed) = (Bound::default(), Vec::new(), Vec::new());
    let made = async {
        for (index, Managed { id, variable, target }) in files.iter().enumerate() {
            let to = To::File(UNNAMED.to_owned());
            bind(&call, index, &Binding { id: id.clone(), to }, &mut bound).await.map_err(|fault| hinted(fault, id))?;
            let mut path = bound.secret.pop().map(|(_, path)| path).unwrap_or_default();
            if let Some(target) = target {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                let mut place = join_path(&cwd, target);
                if target.ends_with('/') {
                    place = format!("{}/{name}", place.trim_end_matches('/'));
                }
                let env = vec![(UNNAMED.to_owned(), path), ("TARGET".to_owned(), place.clone())];
                // It goes whatever comes in between.
                placed.push(place.clone());
                if run_script(&call.core, &call.scope, PLACE, env).await? != 0 {
                    return Err(Fault::abort(format!("the file {id} could not be put to {target}")));
                }
                path = place;
            }
            vars.extend(variable.clone().map(|name| (name, path)));
        }
        Ok(())
    };
    let result = match made.await {
        Ok(()) => call.run_body(&call.scope.with_env(vars)).await,
        Err(fault) => Err(fault),
    };
    if go_after {
        for path in placed {
            if let Ok(remove) = super::script(&call.core, &call.scope, REMOVE, vec![("TARGET".to_owned(), path)]) {
                call.core.ask_to_the_end(remove).await;
            }
        }
    }
    unbind(&call.core, &call.scope, bound.folders).await;
    result
}

/// What somebody who comes from Jenkins looks for.
fn hinted(fault: Fault, id: &str) -> Fault {
    match fault.message() == model::credential::missing(id).message {
        true => fault.with_hint(format!(
            "the file that Jenkins manages as ‘{id}’ is a credential here: of kind file, with that id"
        )),
        false => fault,
    }
}
