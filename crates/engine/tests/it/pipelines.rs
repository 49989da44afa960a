//! Pipelines at random: valid ones, made of what occupies an engine.

use std::fmt::Write as _;

use crate::keeper::Random;

/// A script of blocks within blocks. `is_steady`: how it ends depends on no order of answers.
pub fn scripted(random: &mut Random, is_steady: bool) -> String {
    let mut text = "def total = 0\ndef note(what) { echo \"note ${what}\"; return what }\n".to_owned();
    let mut number = 0;
    for _ in 0..=random.below(3) {
        block(random, &mut text, 1, &mut number, is_steady, false);
    }
    text.push_str("echo \"total ${total}\"\n");
    text
}

fn block(random: &mut Random, text: &mut String, depth: u64, number: &mut u32, is_steady: bool, in_node: bool) {
    *number += 1;
    let own = *number;
    let inner = |random: &mut Random, number: &mut u32, in_node: bool| {
        let mut inner = String::new();
        for _ in 0..=random.below(2) {
            block(random, &mut inner, depth + 1, number, is_steady, in_node);
        }
        inner
    };
    let kind = random.below(if depth > 4 { 6 } else { 14 });
    let _ = match kind {
        0 => writeln!(text, "echo 'step {own}'"),
        1 => writeln!(text, "total += {own}; note('n{own}')"),
        2 if in_node => writeln!(text, "sh 'make {own}'"),
        3 if in_node => writeln!(text, "echo sh(script: 'print {own}', returnStdout: true).trim()"),
        4 if in_node => {
            writeln!(text, "writeFile file: 'f{own}', text: \"${{total}}\"; total += readFile('f{own}').size()")
        }
        5 if in_node => writeln!(text, "stash name: 's{own}', includes: '**'; unstash 's{own}'"),
        2..=5 => writeln!(text, "for (int i{own} = 0; i{own} < {}; i{own}++) {{ total += i{own} }}", random.below(300)),
        6 | 7 => {
            let body = inner(random, number, true);
            writeln!(text, "node('l{own}') {{\n{body}}}")
        }
        8 => {
            let body = inner(random, number, in_node);
            writeln!(text, "stage('S{own}') {{\n{body}}}")
        }
        9 | 10 => {
            let branches: Vec<_> = (0..=random.below(3))
                .map(|branch| format!("b{own}x{branch}: {{\n{}}}", inner(random, number, in_node)))
                .collect();
            let fail_fast = if !is_steady && random.below(2) == 0 { ", failFast: true" } else { "" };
            writeln!(text, "parallel({}{fail_fast})", branches.join(",\n"))
        }
        11 if is_steady => {
            let body = inner(random, number, in_node);
            writeln!(text, "withEnv(['V{own}=1']) {{\n{body}}}")
        }
        11 => {
            let body = inner(random, number, in_node);
            writeln!(text, "timeout(time: {own}, unit: 'SECONDS') {{\n{body}sleep {own}\n}}")
        }
        12 => {
            let (body, fails) = (inner(random, number, in_node), if in_node { "sh 'false'" } else { "error 'thrown'" });
            writeln!(
                text,
                "try {{\n{body}{fails}\n}} catch (e{own}) {{ echo \"caught ${{e{own}.message}}\" }} finally {{ total++ }}"
            )
        }
        _ => {
            let body = inner(random, number, in_node);
            writeln!(text, "catchError(stageResult: 'UNSTABLE') {{\n{body}retry(2) {{ error 'again {own}' }}\n}}")
        }
    };
}

/// A declarative pipeline with stages of its own, in parallel too.
pub fn declarative(random: &mut Random) -> String {
    let mut stages = String::new();
    for number in 0..=random.below(3) {
        let steps = match random.below(4) {
            0 => "sh 'false'",
            1 => "echo \"${env.BUILD_NUMBER}\"; sh 'make'",
            2 => "script { for (x in [1, 2, 3]) { echo \"x ${x}\" } }",
            _ => "stash name: 's', includes: '**'; unstash 's'; unstable 'so so'",
        };
        let _ = match random.below(3) {
            0 => writeln!(
                stages,
                "stage('P{number}') {{ parallel {{ stage('a{number}') {{ agent {{ docker 'x:1' }} steps {{ {steps} }} }}\n\
                 stage('b{number}') {{ agent any\n steps {{ sh 'make b' }} }} }} }}"
            ),
            1 => writeln!(stages, "stage('W{number}') {{ when {{ branch 'main' }} steps {{ {steps} }} }}"),
            _ => writeln!(stages, "stage('S{number}') {{ steps {{ {steps} }} post {{ always {{ echo 'after' }} }} }}"),
        };
    }
    format!(
        "pipeline {{ agent any\n options {{ timeout(time: 1, unit: 'HOURS') }}\n stages {{\n{stages}}}\n \
         post {{ always {{ sh 'clean' }} failure {{ echo 'failed' }} }} }}\n"
    )
}
