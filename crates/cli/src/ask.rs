//! `input` on a terminal: whoever has started the run answers it.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use model::request::{Parameter, Question, Reply};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrets::Masker;
use tokio::sync::{Mutex, oneshot};

use crate::show::for_terminal;

/// Somebody at a terminal. One question at a time.
#[derive(Default)]
pub struct Terminal {
    turn: Mutex<()>,
    asking: AtomicUsize,
}

impl Terminal {
    /// `None`: nobody is there, or what is printed is for a program.
    pub fn find(for_people: bool) -> Option<Terminal> {
        let is_there = for_people && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        is_there.then(Terminal::default)
    }

    /// Whether it waits for an answer now: nothing else is to be drawn there.
    pub fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Relaxed) > 0
    }

    /// Asks until what is said makes sense. What is secret is not shown, but may be what is chosen.
    pub async fn ask(&self, question: &Question, masker: &Masker) -> Reply {
        let _turn = self.turn.lock().await;
        self.asking.fetch_add(1, Ordering::Relaxed);
        let _asking = Asking(&self.asking);
        // What was typed before it was asked is no answer to it.
        let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        let by = std::env::var("USER").unwrap_or_else(|_| "whoever is at the terminal".to_owned());
        // The end of what can be typed is a no.
        let values = conversation(question, typed, |text| say(&masker.mask(text))).await.unwrap_or_default();
        Reply::Decided { by, values }
    }
}

/// The next line; `None`: there is none any more. What is secret is not to be seen while it is typed. Who gives up waiting leaves a thread
/// behind, which takes one line more.
async fn typed(is_secret: bool) -> Option<String> {
    let _unseen = is_secret.then(Unseen::new);
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = sender.send(read.is_ok_and(|count| count > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()));
    });
    receiver.await.ok().flatten()
}

/// While somebody is asked, however that ends.
struct Asking<'a>(&'a AtomicUsize);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// While nothing that is typed is shown, however that ends: then the terminal is as it was.
struct Unseen(Option<Termios>);

impl Unseen {
    fn new() -> Unseen {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(mut modes) = before.clone() {
            modes.local_modes.remove(LocalModes::ECHO);
            restore(Some(&modes));
        }
        Unseen(before)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        restore(self.0.as_ref());
        // The end of the line was not shown either.
        say("\n");
    }
}

fn restore(modes: Option<&Termios>) {
    if let Some(modes) = modes {
        // A terminal that is gone has none.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, modes);
    }
}

/// What is said of each parameter, or (within) no; `None`: nobody types any more.
async fn conversation(
    question: &Question,
    mut next: impl AsyncFnMut(bool) -> Option<String>,
    say: impl Fn(&str),
) -> Option<Option<Vec<(String, String)>>> {
    say(&format!("\n{}\n", question.message));
    let mut values = Vec::new();
    for parameter in &question.parameters {
        say(&in_words(parameter));
        loop {
            let is_secret = parameter.is_hidden;
            let default = if is_secret && !parameter.default.is_empty() { "****" } else { &parameter.default };
            say(&format!("{} [{default}]: ", parameter.name));
            let line = next(is_secret).await?;
            let value = if line.is_empty() { parameter.default.clone() } else { line };
            if parameter.choices.is_empty() || parameter.choices.contains(&value) {
                values.push((parameter.name.clone(), value));
                break;
            }
            say(&format!("one of: {}\n", parameter.choices.join(", ")));
        }
    }
    loop {
        say(&format!("{} or Abort? [p/a]: ", question.ok));
        match next(false).await?.trim().to_lowercase().as_str() {
            "p" | "y" | "yes" | "proceed" => return Some(Some(values)),
            "a" | "n" | "no" | "abort" => return Some(None),
            said if said == question.ok.to_lowercase() => return Some(Some(values)),
            _ => {}
        }
    }
}

fn in_words(Parameter { description, choices, .. }: &Parameter) -> String {
    let choices = if choices.is_empty() { String::new() } else { format!("one of: {}\n", choices.join(", ")) };
    let description = if description.is_empty() { String::new() } else { format!("{description}\n") };
    format!("{description}{choices}")
}

fn say(text: &str) {
    let plain: Vec<_> = text.split('\n').map(for_terminal).collect();
    let mut out = std::io::stderr();
    let _ = write!(out, "{}", plain.join("\n")).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(typed: &[&str], expect: Option<Option<&[(&str, &str)]>>) {
        let parameter = |name: &str, default: &str, choices: &[&str]| Parameter {
            name: name.into(),
            default: default.into(),
            choices: choices.iter().map(ToString::to_string).collect(),
            ..Parameter::default()
        };
        let parameters = vec![parameter("WHERE", "test", &["test", "live"]), parameter("WHY", "", &[])];
        let question = Question { message: "Deploy?".into(), ok: "Ship it".into(), parameters, ..Question::default() };
        let mut lines = typed.iter().map(ToString::to_string);
        let said = conversation(&question, async |_| lines.next(), |_| ()).await;
        let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(said, expect.map(|values| values.map(own)), "{typed:?}");
    }

    #[tokio::test]
    async fn what_is_typed_is_an_answer() {
        check(&["", "because", "p"], Some(Some(&[("WHERE", "test"), ("WHY", "because")]))).await;
        check(&["nowhere", "live", "", "what?", "ship it"], Some(Some(&[("WHERE", "live"), ("WHY", "")]))).await;
        check(&["", "", "a"], Some(None)).await;
        check(&["live"], None).await;
    }

    #[tokio::test]
    async fn a_password_is_not_shown() {
        let parameter =
            Parameter { name: "KEY".into(), default: "hunter2".into(), is_hidden: true, ..Parameter::default() };
        let question = Question { ok: "Go".into(), parameters: vec![parameter], ..Question::default() };
        let (said, mut asked) = (std::cell::RefCell::new(String::new()), Vec::new());
        let mut lines = ["", "p"].into_iter().map(str::to_owned);
        let next = async |is_secret| {
            asked.push(is_secret);
            lines.next()
        };
        let values = conversation(&question, next, |text| said.borrow_mut().push_str(text)).await;
        assert_eq!(values, Some(Some(vec![("KEY".to_owned(), "hunter2".to_owned())])));
        assert!(said.borrow().contains("KEY [****]: ") && !said.borrow().contains("hunter2"), "{said:?}");
        assert_eq!(asked, [true, false]);
    }
}
