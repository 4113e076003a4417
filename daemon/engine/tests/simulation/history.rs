//! The input of engines in a run, as lines that can be read again, and the same engines walked through it.
//!
//! Owns the format: `engine SEED` begins an engine, as a start of the daemon does; `TIME event EVENT`, `TIME timeout` and `TIME asked
//! ACCOUNT` (a connection served a token and noted it) are its input; `effect EFFECT` beneath is what it wants done; `# …` is what
//! happened around it. Engines are deterministic, so these lines are the whole run: no simulation is needed to walk it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokend_engine::{AccountKey, Engine, Event, LastAsked, Timestamp};

use crate::events::{Read, stamp};
use crate::tree::{Change, Tree, changes};

/// An input of an engine.
#[derive(Debug)]
enum Input {
    Engine(u64),
    Event(Event),
    Timeout,
    Asked(AccountKey),
}

/// One input of an engine, and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// As it was read.
    pub(crate) line: String,
    /// How long after the engine's first input.
    pub(crate) after: Duration,
    pub(crate) effects: Vec<String>,
    /// What the lines say that it did.
    pub(crate) effects_before: Vec<String>,
    /// What it changed in the engine's state.
    pub(crate) changes: Vec<Change>,
    /// What happened around it, afterwards.
    pub(crate) notes: Vec<String>,
}

/// An input of an engine, in one line.
pub(crate) fn line(at: Timestamp, input: &str) -> String {
    format!("{at:?} {input}")
}

/// Walks engines through the lines.
///
/// # Errors
/// The number of a line, and why it cannot be read.
pub(crate) fn walk<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Vec<Step>, String> {
    let mut walker = Walker::default();
    for (index, line) in lines.into_iter().enumerate() {
        walker
            .read(line.trim())
            .map_err(|why| format!("line {}: {why}", index + 1))?;
    }
    Ok(walker.steps)
}

/// The lines of steps, with what the engine wants done beneath each.
pub(crate) fn lines(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        text.push_str(&format!("{}\n", step.line));
        for effect in &step.effects {
            text.push_str(&format!("  effect {effect}\n"));
        }
        for note in &step.notes {
            text.push_str(&format!("# {note}\n"));
        }
    }
    text
}

/// The number of the first step that wants other things done than its lines say, where they say any.
pub(crate) fn first_difference(steps: &[Step]) -> Option<usize> {
    let says_any = steps.iter().any(|step| !step.effects_before.is_empty());
    let differs = |step: &Step| says_any && step.effects != step.effects_before;
    steps.iter().position(differs).map(|index| index + 1)
}

#[derive(Default)]
struct Walker {
    engine: Option<Engine>,
    state: Option<Tree>,
    /// When the engine had its first input.
    began: Option<Timestamp>,
    asked: BTreeMap<AccountKey, LastAsked>,
    steps: Vec<Step>,
    /// What happened before the first step.
    notes: Vec<String>,
}

impl Walker {
    fn read(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(note) = line.strip_prefix('#') {
            let notes = match self.steps.last_mut() {
                Some(step) => &mut step.notes,
                None => &mut self.notes,
            };
            notes.push(note.trim().to_owned());
            return Ok(());
        }
        if let Some(effect) = line.strip_prefix("effect ") {
            let step = self.steps.last_mut().ok_or("an effect of nothing")?;
            step.effects_before.push(effect.to_owned());
            return Ok(());
        }
        let (at, input) = read_input(line)?;
        let (effects, changes) = self.tell(at, input)?;
        self.steps.push(Step {
            line: line.to_owned(),
            after: self.began.map_or(Duration::ZERO, |began| at.since(began)),
            effects,
            effects_before: Vec::new(),
            changes,
            notes: std::mem::take(&mut self.notes),
        });
        Ok(())
    }

    fn tell(&mut self, at: Timestamp, input: Input) -> Result<(Vec<String>, Vec<Change>), String> {
        if let Input::Engine(seed) = input {
            let engine = Engine::new(seed);
            self.asked.clear();
            self.began = None;
            self.state = Some(state(&engine)?);
            self.engine = Some(engine);
            return Ok((Vec::new(), Vec::new()));
        }
        let engine = self.engine.as_mut().ok_or("no engine was begun")?;
        self.began.get_or_insert(at);
        match input {
            Input::Event(event) => {
                if let Event::Adopt(key, adoption) = &event {
                    self.asked.insert(*key, adoption.asked.clone());
                }
                engine.handle_event(at, event);
            }
            Input::Timeout => engine.handle_timeout(at),
            Input::Asked(key) => {
                if let Some(asked) = self.asked.get(&key) {
                    asked.touch(at);
                }
            }
            Input::Engine(_) => {}
        }
        let effects = std::iter::from_fn(|| engine.poll_effect())
            .map(|effect| format!("{effect:?}"))
            .collect();
        let after = state(engine)?;
        let changes = self
            .state
            .as_ref()
            .map(|before| changes(before, &after))
            .unwrap_or_default();
        self.state = Some(after);
        // Who is due when is said once, by `planned`.
        let changes = changes.into_iter().filter(|it| it.place != "timetable");
        Ok((effects, changes.collect()))
    }
}

fn state(engine: &Engine) -> Result<Tree, String> {
    Tree::read(&format!("{engine:?}")).map_err(|why| format!("the engine's state: {why}"))
}

fn read_input(line: &str) -> Result<(Timestamp, Input), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("not a number: {text}"));
    if let Some(seed) = line.strip_prefix("engine ") {
        return Ok((Timestamp::ZERO, Input::Engine(number(seed)?)));
    }
    let (at, rest) = line.split_once(' ').ok_or("neither a time nor `engine`")?;
    let at = stamp(at).ok_or_else(|| format!("not a time: {at}"))?;
    let input = match rest.split_once(' ').unwrap_or((rest, "")) {
        ("event", event) => Input::Event(Event::read(&Tree::read(event)?)?),
        ("timeout", "") => Input::Timeout,
        ("asked", account) => Input::Asked(AccountKey::read(&Tree::read(account)?)?),
        (other, _) => return Err(format!("neither event, timeout nor asked: {other}")),
    };
    Ok((at, input))
}
