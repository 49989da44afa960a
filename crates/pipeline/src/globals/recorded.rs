//! What steps answer that only keep what they were asked for: objects on which every method does nothing.

use groovy::value::Value;

use crate::engine::Core;
use crate::engine::values;

/// What `slackSend` answers.
pub(super) const SLACK: &str = "jenkins.plugins.slack.workflow.SlackResponse";
/// What others answer: a badge, a summary.
pub(super) const PLAIN: &str = "com.jenkinsci.plugins.badge.action.AbstractBadgeAction";

/// What comes of a message that went nowhere.
pub(crate) fn slack(core: &Core, channel: &str) -> Value {
    let mut channels = core.run.slack_channels.borrow_mut();
    let at = channels.iter().position(|known| known == channel).unwrap_or_else(|| {
        core.run.hold(size_of::<String>() + channel.len(), 0);
        channels.push(channel.to_owned());
        channels.len() - 1
    });
    Value::host(SLACK, at as u64)
}

/// Something on which methods are called.
pub(crate) fn plain() -> Value {
    Value::host(PLAIN, 0)
}

/// A property: what the next message in a thread is given.
pub(super) fn property(core: &Core, kind: &str, id: u64, name: &str) -> Option<Value> {
    if kind == PLAIN {
        return Some(values::text(""));
    }
    let channel = core.run.slack_channels.borrow().get(usize::try_from(id).ok()?)?.clone();
    Some(match name {
        "channelId" => values::text(&channel),
        "ts" => values::text(NO_TIME),
        "threadId" => values::text(&format!("{channel}:{NO_TIME}")),
        "fileId" => Value::Null,
        _ => return None,
    })
}

/// The time of a message that was not sent, as Slack writes times.
const NO_TIME: &str = "0.000000";
