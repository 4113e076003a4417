//! A program on a terminal of its own, which `script` (util-linux) makes.

use std::{
    io::{BufReader, Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use tokend_harness::clock::{PATIENCE, Stopwatch};

/// The program's output so far.
pub(crate) struct Terminal {
    child: Child,
    bytes: mpsc::Receiver<u8>,
    shown: String,
}

impl Terminal {
    /// Runs a line of the shell on a terminal of 200 columns and 50 lines, with these variables.
    pub(crate) fn run(line: &str, variables: &[(&str, &str)]) -> Self {
        let line = format!("stty cols 200 rows 50; exec {line}");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("SHELL", "/bin/sh").env("TERM", "xterm");
        command.envs(variables.iter().copied());
        let piped = || Stdio::piped();
        command.stdin(piped()).stdout(piped()).stderr(piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("script, of util-linux: {error}"));
        let stdout = child.stdout.take().unwrap();
        let (sender, bytes) = mpsc::sync_channel(4096);
        // Ends with the terminal.
        drop(thread::spawn(move || {
            BufReader::new(stdout)
                .bytes()
                .map_while(Result::ok)
                .try_for_each(|byte| sender.send(byte))
        }));
        Self {
            child,
            bytes,
            shown: String::new(),
        }
    }

    /// Waits until the terminal has shown `text` since the last wait.
    pub(crate) fn wait_for(&mut self, text: &str) {
        // The time limit is for all bytes together: a program that redraws is never silent.
        let watch = Stopwatch::start();
        while !self.shown.ends_with(text) {
            let left = PATIENCE.saturating_sub(watch.elapsed());
            match self.bytes.recv_timeout(left) {
                Ok(byte) => self.shown.push(byte.into()),
                Err(_) => panic!("waited for {text:?}, shown is {:?}", self.shown),
            }
        }
        self.shown.clear();
    }

    /// Waits until the program has ended.
    pub(crate) fn ends(&mut self) {
        let watch = Stopwatch::start();
        loop {
            let left = PATIENCE.saturating_sub(watch.elapsed());
            match self.bytes.recv_timeout(left) {
                Ok(byte) => self.shown.push(byte.into()),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it goes on: {:?}", self.shown),
            }
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The shell ends when its terminal does; both fail only if it is already gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
