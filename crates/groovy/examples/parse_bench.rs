//! Parse throughput on one core: `parse_bench [--json] FILE…` (or a built-in text) prints MB/s.
//!
//! The texts are parsed one by one, again and again, until three seconds are over; trees are dropped inside the
//! measured time.

use std::process::ExitCode;
use std::time::{Duration, Instant};

const BUILT_IN: &str = r##"
@Library('tools') _

def images = ['maven': '3.9', 'node': '22']

pipeline {
    agent { docker { image "maven:${images.maven}"; args '-v m2:/data/.m2' } }
    options { timeout(time: 1, unit: 'HOURS'); buildDiscarder(logRotator(numToKeepStr: '10')) }
    parameters { string(name: 'TARGET', defaultValue: 'verify', description: 'what to run') }
    stages {
        stage('Build')
        {
            when { not { branch 'release/*' } }
            steps {
                // Everything in one go.
                sh script: "mvn -B ${params.TARGET} -Dbuild=${env.BUILD_NUMBER}", label: 'maven'
                script {
                    def out = sh(returnStdout: true, script: '''
                        git log -1 --format=%h | tr -d '\n'
                    ''').trim()
                    currentBuild.displayName = "#${env.BUILD_NUMBER} ${out ?: 'unknown'}"
                    for (int i = 0; i < 3; i++) {
                        if (out =~ /^[0-9a-f]+$/ && out.size() > i) { echo "part $i: ${out[i]}" } else { break }
                    }
                }
            }
            post { always { junit testResults: '**/target/surefire-reports/*.xml', allowEmptyResults: true } }
        }
    }
}

def deploy(Map args = [:], Closure body = null) {
    try { retry(3) { sh "deploy ${args.collect { k, v -> "--${k}=${v}" }.join(' ')}" } }
    catch (IOException | RuntimeException e) { error e.message } finally { body?.call(args) }
}
"##;

fn main() -> ExitCode {
    let mut json = false;
    let mut texts = Vec::new();
    for argument in std::env::args().skip(1) {
        if argument == "--json" {
            json = true;
            continue;
        }
        match std::fs::read(&argument) {
            Ok(bytes) => texts.push(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                eprintln!("parse_bench: cannot read {argument}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if texts.is_empty() {
        texts.push(BUILT_IN.repeat(200));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    let errors = texts.iter().filter(|t| groovy::parse(t).has_errors()).count();
    let mut rates = measure(&texts, bytes);
    rates.sort_by(f64::total_cmp);
    let median = rates[rates.len() / 2];
    let slowest = rates[rates.len() / 10];
    if json {
        println!(
            r#"{{"what":"groovy parse","unit":"MB/s","n":{},"median":{median:.1},"p90":{slowest:.1}}}"#,
            rates.len()
        );
    } else {
        println!(
            "{} texts, {bytes} bytes, {errors} rejected: median {median:.1} MB/s, p90 {slowest:.1} MB/s",
            texts.len()
        );
    }
    ExitCode::SUCCESS
}

/// MB/s of every round.
fn measure(texts: &[String], bytes: usize) -> Vec<f64> {
    let mut rates = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) || rates.len() < 5 {
        let round = Instant::now();
        for text in texts {
            std::hint::black_box(groovy::parse(std::hint::black_box(text)));
        }
        rates.push(bytes as f64 / 1e6 / round.elapsed().as_secs_f64());
    }
    rates
}
