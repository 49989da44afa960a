//! Environment variables of a scope. Lowest first: facts of the run and parameters, the node, `env.X = …`, then the
//! blocks from the outermost to the innermost.

use std::collections::BTreeMap;

use groovy::value::Meter;

use super::Core;
use super::scope::{EnvLayer, Scope, var_bytes};

/// Bytes of variables that are copied in one instruction's time.
const COPIED_BYTES: usize = 256;

impl Core {
    /// One variable as the scope sees it. A name that is not there as it is written is looked for in any case: Jenkins' variables
    /// have none (`env.workspace`), and unlike there, two that differ in that alone stay two.
    pub(crate) fn env_var(&self, scope: &Scope, name: &str) -> Option<String> {
        let mut vars = BTreeMap::new();
        self.apply_env(scope, &mut vars, Some(name));
        let in_any_case = || {
            self.env_all(scope).into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        vars.remove(name).or_else(in_any_case)
    }

    /// All variables that the scope sees.
    pub(crate) fn env_all(&self, scope: &Scope) -> BTreeMap<String, String> {
        let mut vars = BTreeMap::new();
        self.apply_env(scope, &mut vars, None);
        let bytes: usize = vars.iter().map(|(name, value)| var_bytes(name, value)).sum();
        Meter::work(bytes / COPIED_BYTES);
        vars
    }

    /// Variables for a process on the node of the scope: everything but what the place itself has just so.
    pub(crate) fn env_for_process(&self, scope: &Scope) -> Vec<(String, String)> {
        let mut vars = self.env_all(scope);
        if let Some(node) = &scope.node {
            for (name, own) in [("PATH", &node.place.path), ("HOME", &node.place.home)] {
                if vars.get(name) == Some(own) {
                    vars.remove(name);
                }
            }
        }
        vars.into_iter().collect()
    }

    fn apply_env(&self, scope: &Scope, vars: &mut BTreeMap<String, String>, only: Option<&str>) {
        let wanted = |name: &str| only.is_none_or(|o| o == name);
        let mut set = |name: &str, value: &str| {
            if wanted(name) {
                vars.insert(name.to_owned(), value.to_owned());
            }
        };
        for (name, value) in &self.facts.env {
            set(name, value);
        }
        let declared = self.run.declared.borrow();
        for (name, value) in self.run.params.borrow().iter() {
            // What nobody asked for does not pass for what the run knows of itself: `BRANCH_NAME` decides what is deployed.
            let is_known = || self.facts.env.iter().any(|(known, _)| known == name);
            // And what another project's run has given is what this definition takes, and nothing that programs listen to (`LD_PRELOAD`).
            let is_free = self.facts.depth == 0 && !is_known();
            if declared.contains(name) || is_free {
                set(name, &value.to_text());
            }
        }
        if let Some(node) = &scope.node {
            for (name, value) in [("PATH", &node.place.path), ("HOME", &node.place.home)] {
                if !value.is_empty() {
                    set(name, value);
                }
            }
            set("EXECUTOR_NUMBER", "0");
            set("NODE_NAME", &node.place.node_name);
            if let Some(label) = &node.label {
                set("NODE_LABELS", label);
            }
            for (name, value) in &node.place.env {
                set(name, value);
            }
            if let Some(workspace) = scope.workspace() {
                set("WORKSPACE", workspace);
                set("WORKSPACE_TMP", &format!("{workspace}@tmp"));
            }
        }
        for (name, value) in self.run.env().iter() {
            set(name, value);
        }
        let mut layers: Vec<&EnvLayer> = Vec::new();
        let mut at = scope.env.as_deref();
        while let Some(layer) = at {
            layers.push(layer);
            at = layer.outer.as_deref();
        }
        for layer in layers.into_iter().rev() {
            for (name, value) in &layer.vars {
                let plain = name.split_once('+').map_or(name.as_str(), |(n, _)| n);
                if wanted(plain) {
                    override_var(vars, name, value);
                }
            }
        }
    }
}

/// Jenkins' `EnvVars.override`: an empty value takes the variable away, `PATH+ANY=x` puts `x:` before it.
fn override_var(vars: &mut BTreeMap<String, String>, name: &str, value: &str) {
    if value.is_empty() {
        vars.remove(name);
        return;
    }
    match name.split_once('+') {
        Some((plain, _)) => {
            let value = match vars.get(plain) {
                Some(old) if !old.is_empty() => format!("{value}:{old}"),
                _ => value.to_owned(),
            };
            vars.insert(plain.to_owned(), value);
        }
        None => drop(vars.insert(name.to_owned(), value.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overriding() {
        let mut vars = BTreeMap::new();
        override_var(&mut vars, "PATH+A", "/a");
        override_var(&mut vars, "PATH+B", "/b");
        assert_eq!(vars["PATH"], "/b:/a");
        override_var(&mut vars, "X", "1");
        override_var(&mut vars, "X", "");
        assert!(!vars.contains_key("X"));
        override_var(&mut vars, "PATH+C", "");
        assert_eq!(vars["PATH"], "/b:/a");
    }
}
