//! The stages of a run as a page shows them: what is in what, how it went, how long it took.

use maud::{Markup, html};
use model::event::Event;
use model::outcome::Outcome;
use model::stages::{Stage, stages};
use store::Millis;

/// A tree, the stages of each level in their order.
pub(super) fn graph(events: &[(u64, Millis, Event)], now: Millis) -> Markup {
    listed(&stages(events.iter().map(|(_, at, event)| (*at, event))), now)
}

/// Branches stand in lists of their own: they are beside each other, and stages are one after the other.
fn listed(stages: &[Stage], now: Millis) -> Markup {
    html! {
        @for some in stages.chunk_by(|one, next| one.is_branch == next.is_branch) {
            ul class=(if some.iter().all(|stage| stage.is_branch) { "branches" } else { "stages" }) {
                @for stage in some {
                    li { (line(stage, now)) (listed(&stage.within, now)) }
                }
            }
        }
    }
}

fn line(stage: &Stage, now: Millis) -> Markup {
    let seconds = |until: Millis| format!("{:.1} s", until.saturating_sub(stage.began) as f64 / 1000.0);
    html! {
        (stage.name) " "
        @match (&stage.skipped, stage.ended) {
            (Some(reason), _) => { span class="skipped" { (reason) } }
            (None, Some((at, Outcome::Success))) => { span class="success" { "success" } " " (seconds(at)) }
            (None, Some((at, outcome))) => { span class="failure" { (outcome.name().to_lowercase()) } " " (seconds(at)) }
            (None, None) => { span { "running" } " " (seconds(now)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::ids::StageId;

    use super::*;

    fn started(stage: u64, parent: Option<u64>, name: &str, branch: bool) -> Event {
        Event::StageStarted { stage: StageId(stage), parent: parent.map(StageId), name: name.into(), branch }
    }

    fn ended(stage: u64, outcome: Outcome) -> Event {
        Event::StageFinished { stage: StageId(stage), outcome }
    }

    /// One event each second, and ten have passed.
    fn page(events: impl IntoIterator<Item = Event>) -> String {
        let events: Vec<_> = (0..).zip(events).map(|(at, event)| (at, 1000 * at, event)).collect();
        graph(&events, 10_000).into_string()
    }

    #[test]
    fn what_is_in_a_stage_stands_in_it() {
        let shown = page([
            started(1, None, "<Build>", false),
            started(2, Some(1), "linux", true),
            started(3, Some(1), "mac", true),
            ended(2, Outcome::Success),
            ended(3, Outcome::Unstable),
            started(4, None, "Deploy", false),
            Event::StageSkipped { stage: StageId(4), reason: "not now".into() },
        ]);
        let expect = "<ul class=\"stages\"><li>&lt;Build&gt; <span>running</span> 10.0 s<ul class=\"branches\">\
            <li>linux <span class=\"success\">success</span> 2.0 s</li><li>mac <span class=\"failure\">unstable</span> 2.0 s</li></ul></li>\
            <li>Deploy <span class=\"skipped\">not now</span></li></ul>";
        assert_eq!(shown, expect);
        assert_eq!(page([]), "");
    }

    /// As the engine tells of declarative ones: each branch holds a stage of its name.
    #[test]
    fn a_branch_is_shown_once_and_beside_the_others() {
        let shown = page([
            started(1, None, "Test", false),
            started(2, Some(1), "linux", true),
            started(3, Some(1), "mac", true),
            started(4, Some(2), "linux", false),
            started(5, Some(3), "mac", false),
            started(6, Some(4), "make", false),
            ended(6, Outcome::Success),
            started(7, Some(4), "pack", false),
            Event::StageSkipped { stage: StageId(5), reason: "not now".into() },
        ]);
        let expect = "<ul class=\"stages\"><li>Test <span>running</span> 10.0 s<ul class=\"branches\"><li>linux <span>running</span> 9.0 s\
            <ul class=\"stages\"><li>make <span class=\"success\">success</span> 1.0 s</li><li>pack <span>running</span> 3.0 s</li></ul></li>\
            <li>mac <span class=\"skipped\">not now</span></li></ul></li></ul>";
        assert_eq!(shown, expect);
        // Of a script, whose stages may hold both.
        let shown = page([
            started(1, None, "a", true),
            ended(1, Outcome::Success),
            started(2, None, "b", false),
            ended(2, Outcome::Aborted),
        ]);
        let expect = "<ul class=\"branches\"><li>a <span class=\"success\">success</span> 1.0 s</li></ul>\
            <ul class=\"stages\"><li>b <span class=\"failure\">aborted</span> 1.0 s</li></ul>";
        assert_eq!(shown, expect);
    }
}
