//! The stages of a run as a page shows them: what is in what, how it went, how long it took.

use std::collections::BTreeMap;

use maud::{Markup, html};
use model::event::Event;
use model::ids::StageId;
use model::outcome::Outcome;
use store::Millis;

/// Stages within stages that are shown.
const DEEPEST: usize = 30;

/// A stage, or a branch of a parallel one.
struct Stage<'a> {
    id: StageId,
    parent: Option<StageId>,
    name: &'a str,
    is_branch: bool,
    began: Millis,
    ended: Option<(Millis, Outcome)>,
    skipped: Option<&'a str>,
}

/// A tree, the stages of each level in their order.
pub(super) fn graph(events: &[(u64, Millis, Event)], now: Millis) -> Markup {
    let mut stages = BTreeMap::new();
    for (_, at, event) in events {
        match event {
            Event::StageStarted { stage, parent, name, branch } => {
                let new = Stage {
                    id: *stage,
                    parent: *parent,
                    name,
                    is_branch: *branch,
                    began: *at,
                    ended: None,
                    skipped: None,
                };
                stages.insert(stage.0, new);
            }
            Event::StageSkipped { stage, reason } => {
                if let Some(stage) = stages.get_mut(&stage.0) {
                    stage.skipped = Some(reason);
                }
            }
            Event::StageFinished { stage, outcome } => {
                if let Some(stage) = stages.get_mut(&stage.0) {
                    stage.ended = Some((*at, *outcome));
                }
            }
            _ => {}
        }
    }
    within(&stages.into_values().collect::<Vec<_>>(), None, now, 0)
}

fn within(all: &[Stage<'_>], parent: Option<StageId>, now: Millis, depth: usize) -> Markup {
    let of: Vec<_> = all.iter().filter(|stage| stage.parent == parent).collect();
    html! {
        @if !of.is_empty() && depth < DEEPEST {
            ul class=(if of.iter().all(|stage| stage.is_branch) { "branches" } else { "stages" }) {
                @for stage in of {
                    li { (line(stage, now)) (within(all, Some(stage.id), now, depth + 1)) }
                }
            }
        }
    }
}

fn line(stage: &Stage<'_>, now: Millis) -> Markup {
    let seconds = |until: Millis| format!("{:.1} s", until.saturating_sub(stage.began) as f64 / 1000.0);
    html! {
        (stage.name) " "
        @match (stage.skipped, stage.ended) {
            (Some(reason), _) => { span class="skipped" { (reason) } }
            (None, Some((at, Outcome::Success))) => { span class="success" { "success" } " " (seconds(at)) }
            (None, Some((at, outcome))) => { span class="failure" { (outcome.name().to_lowercase()) } " " (seconds(at)) }
            (None, None) => { span { "running" } " " (seconds(now)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_stage_stands_in_it() {
        let started = |stage, parent: Option<u64>, name: &str, branch| Event::StageStarted {
            stage: StageId(stage),
            parent: parent.map(StageId),
            name: name.into(),
            branch,
        };
        let ended = |stage, outcome| Event::StageFinished { stage: StageId(stage), outcome };
        let events = [
            started(1, None, "<Build>", false),
            started(2, Some(1), "linux", true),
            started(3, Some(1), "mac", true),
            ended(2, Outcome::Success),
            ended(3, Outcome::Unstable),
            started(4, None, "Deploy", false),
            Event::StageSkipped { stage: StageId(4), reason: "not now".into() },
        ];
        let events: Vec<_> = (0..).zip(events).map(|(at, event)| (at, 1000 * at, event)).collect();
        let shown = graph(&events, 10_000).into_string();
        let expect = "<ul class=\"stages\"><li>&lt;Build&gt; <span>running</span> 10.0 s<ul class=\"branches\">\
            <li>linux <span class=\"success\">success</span> 2.0 s</li><li>mac <span class=\"failure\">unstable</span> 2.0 s</li></ul></li>\
            <li>Deploy <span class=\"skipped\">not now</span></li></ul>";
        assert_eq!(shown, expect);
        // Whoever says that stages are in each other is told of as far as anybody reads.
        let odd = [(1, 0, started(1, Some(1), "in itself", false))];
        assert_eq!(graph(&odd, 0).into_string(), "");
    }
}
