//! `init`: a first configuration by a few questions.
//!
//! Owns the order: questions, a look by `tokend check`, then the files, then the daemon, the credential, and one attempt at most. However it
//! ends, what is there is whole: no file is half written or overwritten, and another `init` with the same account goes on from there.

mod files;
mod place;
mod questions;
mod signals;
mod steps;
mod terminal;
mod tokend;
mod units;

use std::path::Path;

use tokend_client::AccountName;

use self::files::Draft;
use self::place::Place;
use self::questions::Questions;
use self::signals::Held;
use self::steps::Steps;
use self::terminal::agree;
use self::tokend::{Checked, Tokend};
use crate::account_file::AccountFile;
use crate::arguments::Init;
use crate::failure::{Exit, Failure};
use crate::{input, output};

/// Runs the command to its end.
pub(crate) fn run(socket: Option<&Path>, options: &Init) -> Result<(), Failure> {
    let place = Place::find(options.config.as_deref())?;
    let tokend = Tokend::find()?;
    let is_asked = input::is_terminal();
    let mut questions = Questions::new(options, &tokend, &place, is_asked);
    let is_there = place.has_configuration()?;
    if is_there {
        sound(&tokend.check(&place.main, None, None)?, &place)?;
    }
    let name = questions.account()?;
    let known = match is_there {
        true => Some(tokend.check(&place.main, None, Some(&name))?).filter(Checked::is_fine),
        false => None,
    };
    let (checked, file) = match known {
        Some(checked) => {
            output::note(&format!(
                "account {name} is in {} already, so nothing is written",
                place.main.display()
            ));
            (checked, None)
        }
        None => {
            let Some((file, checked)) = write(&name, &mut questions, options, &tokend, &place)?
            else {
                output::note("nothing was written");
                return Ok(());
            };
            (checked, Some(file))
        }
    };
    Steps {
        socket,
        options,
        is_asked: is_asked && !options.yes,
        place: &place,
        name: &name,
        file: file.as_ref(),
        checked: &checked,
    }
    .take()
}

/// Asks until `tokend check` finds nothing wrong, and puts the files in place. `None` if the person does not want it.
fn write(
    name: &AccountName,
    questions: &mut Questions<'_>,
    options: &Init,
    tokend: &Tokend,
    place: &Place,
) -> Result<Option<(AccountFile, Checked)>, Failure> {
    loop {
        let file = questions.rest(name)?;
        if !options.yes && !confirmed(&file, questions, place)? {
            return Ok(None);
        }
        // From here to the end of this turn a signal waits, so that it leaves nothing half done.
        let held = Held::start()?;
        let draft = Draft::write(place, &file)?;
        let checked = tokend.check(&place.main, Some(draft.staged()), Some(name))?;
        if held.is_ended() {
            drop(draft);
            return Err(held.end());
        }
        if checked.is_fine() {
            let written = draft.keep()?;
            for path in written {
                output::note(&format!("{} is written", path.display()));
            }
            drop(held);
            checked.notes(&file);
            return Ok(Some((file, checked)));
        }
        let report = checked.report.replace(
            &draft.staged().display().to_string(),
            &AccountFile::name_of(&file.name),
        );
        drop(draft);
        drop(held);
        terminal::show(&report);
        if !questions.is_asked() || !agree("change the answers?")? {
            return Err(refused(
                &checked,
                "nothing was written; correct what is said above, and run it again",
            ));
        }
        questions.again(file);
    }
}

/// Whether the file may be written, after it was shown.
fn confirmed(
    file: &AccountFile,
    questions: &Questions<'_>,
    place: &Place,
) -> Result<bool, Failure> {
    if !questions.is_asked() {
        return Err(Failure::usage(
            "writing the configuration was not confirmed",
            "if you mean it, add: --yes",
        ));
    }
    let path = place.account_file(file);
    terminal::show(&format!("\n{}:\n\n", path.display()));
    terminal::show(&file.text());
    terminal::show("\n");
    agree("check this and write it?")
}

/// Fails if the configuration that is there has mistakes: an account that is added to it would never be served.
fn sound(checked: &Checked, place: &Place) -> Result<(), Failure> {
    if checked.is_fine() {
        return Ok(());
    }
    terminal::show(&checked.report);
    let main = place.main.display();
    Err(refused(
        checked,
        &format!("correct {main} first, until `tokend check --config {main}` finds nothing"),
    ))
}

fn refused(checked: &Checked, advice: &str) -> Failure {
    let exit = match checked.is_shortage() {
        true => Exit::TryLater,
        false => Exit::Config,
    };
    Failure::new(exit, "tokend check refuses the configuration", advice)
}
