//! `cargo sim step`: a run shown event by event, with what each changed.
//!
//! Owns how a step looks, and the walk through them: one after the other for a person, all at once otherwise.

use std::io::{self, BufRead, Write};

use crate::history::{Step, first_difference};

/// Shows steps `from` to `to`, which count from 1; with a person, one at a time.
pub(crate) fn walk_through(
    steps: &[Step],
    from: usize,
    to: usize,
    mut person: Option<&mut dyn BufRead>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let last = to.min(steps.len());
    if let Some(number) = first_difference(steps) {
        writeln!(
            out,
            "step {number} is the first whose effects are not those of the file"
        )?;
    }
    let mut number = from.max(1);
    while let Some(step) = steps.get(number - 1).filter(|_| number <= last) {
        writeln!(out, "{}", shown(number, step))?;
        number += 1;
        let Some(input) = person.as_mut().filter(|_| number <= last) else {
            continue;
        };
        let at = number - 1;
        write!(
            out,
            "{at} of {last}: Enter goes on, a number goes there, q ends > "
        )?;
        out.flush()?;
        match choice(input, number)? {
            Some(chosen) => number = chosen.min(last),
            None => break,
        }
    }
    Ok(())
}

/// Which step comes next; none at the end.
fn choice(input: &mut dyn BufRead, next: usize) -> io::Result<Option<usize>> {
    let mut answer = String::new();
    let is_over = input.read_line(&mut answer)? == 0;
    Ok(match answer.trim() {
        _ if is_over => None,
        "q" => None,
        text => Some(text.parse().map_or(next, |number: usize| number.max(1))),
    })
}

/// One step: its number, how long after the engine's first, its input, what is to be done, what changed, what happened around it.
pub(crate) fn shown(number: usize, step: &Step) -> String {
    let millis = step.after.as_millis();
    let (seconds, minutes) = (millis / 1000, millis / 60_000);
    let mut text = format!(
        "#{number}  {:02}:{:02}:{:02}.{:03}  {}",
        minutes / 60,
        minutes % 60,
        seconds % 60,
        millis % 1000,
        step.line
    );
    for effect in &step.effects {
        text.push_str(&format!("\n  effect {effect}"));
    }
    for change in &step.changes {
        text.push_str(&format!("\n  state {}", change.place));
        for (sign, value) in [('-', &change.before), ('+', &change.after)] {
            if let Some(value) = value {
                text.push_str(&format!("\n    {sign} {value}"));
            }
        }
    }
    for note in &step.notes {
        text.push_str(&format!("\n  # {note}"));
    }
    text
}
