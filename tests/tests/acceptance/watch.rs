//! `tokenctl status --watch` on a terminal: keys and signals leave the terminal as it was.

use std::fs;

use tokend_harness::{
    Said, built,
    clock::{PATIENCE, wait_for},
};
use tokend_provider_simulator::spec::Api;

use crate::{stage::Stage, terminal::Terminal};

/// The escape codes of the alternate screen.
const OPEN: &str = "\u{1b}[?1049h";
const CLOSE: &str = "\u{1b}[?1049l";

/// A shell with job control, which unlike others leaves the terminal's mode to the programs it starts.
struct Shell {
    stage: Stage,
    terminal: Terminal,
}

impl Shell {
    fn start() -> Self {
        let stage = Stage::of(Api::JwtApi);
        let mut terminal = Terminal::run("dash -i", &[("PS1", "here> ")]);
        terminal.wait_for("here> ");
        Self { stage, terminal }
    }

    fn watch(&mut self) {
        let tokenctl = built().unwrap().tokenctl;
        let socket = self.stage.site.socket();
        let line = format!(
            "{} --socket {} status --watch\n",
            tokenctl.display(),
            socket.display()
        );
        self.terminal.press(&line);
        self.is_shown();
    }

    /// The table is on the other screen, and answers.
    fn is_shown(&mut self) {
        self.terminal.wait_for(OPEN);
        self.terminal.wait_for("q ends");
    }

    fn is_gone(&mut self) {
        self.terminal.wait_for(CLOSE);
        self.terminal.wait_for("here> ");
    }

    /// The terminal's keyboard mode now, and how the last command ended.
    fn mode(&mut self) -> (Vec<String>, String) {
        let file = self.stage.site.path().join("mode");
        drop(fs::remove_file(&file));
        let path = file.display();
        self.terminal.press(&format!(
            "echo $? >{path}.new; stty -a >>{path}.new; mv {path}.new {path}\n"
        ));
        let text = wait_for("the mode", PATIENCE, || fs::read_to_string(&file).ok()).unwrap();
        self.terminal.wait_for("here> ");
        let (code, mode) = text.split_once('\n').unwrap();
        let words = mode.split([' ', ';', '\n']);
        let words =
            words.filter(|word| matches!(word.trim_start_matches('-'), "echo" | "icanon" | "isig"));
        (words.map(str::to_owned).collect(), code.to_owned())
    }
}

#[test]
fn a_key_ends_the_watch_and_the_terminal_is_as_it_was() {
    let mut shell = Shell::start();
    let _daemon = shell.stage.site.start().unwrap();
    let (before, _) = shell.mode();
    assert_eq!(before, ["isig", "icanon", "echo"]);
    shell.watch();
    shell.terminal.press("q");
    shell.is_gone();
    assert_eq!(shell.mode(), (before, "0".to_owned()));
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_goes_on() {
    let mut shell = Shell::start();
    let _daemon = shell.stage.site.start().unwrap();
    let (before, _) = shell.mode();
    shell.watch();
    for _ in 0..2 {
        shell.terminal.press("\u{1a}");
        shell.is_gone();
        let (mode, code) = shell.mode();
        assert_eq!(mode, before);
        // 128 and the number of SIGSTOP: it has stopped, and not ended.
        assert_eq!(code, "147");
        shell.terminal.press("fg\n");
        shell.is_shown();
    }
    // The program reads a key without Enter: the keyboard is in the mode of the watch again.
    shell.terminal.press("q");
    shell.is_gone();
    assert_eq!(shell.mode(), (before, "0".to_owned()));
    let said: Said = shell.stage.site.tokenctl(&["list"]).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn ctrl_c_ends_it_too() {
    let mut shell = Shell::start();
    let _daemon = shell.stage.site.start().unwrap();
    let (before, _) = shell.mode();
    shell.watch();
    shell.terminal.press("\u{3}");
    shell.is_gone();
    assert_eq!(shell.mode().0, before);
}
