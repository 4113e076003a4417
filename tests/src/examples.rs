//! Examples of command lines in a text, and whether one of them puts a token into arguments.
//!
//! Owns what counts as exposed: every local user can read the arguments of a program, but not its standard input, its environment, or what
//! a shell does by itself. Reads text of any kind (Markdown, man pages, help in Rust, units) line by line, and knows as much of a shell's
//! grammar as examples use.

/// Commands that a shell runs by itself, so that no other process sees their words.
const BUILTINS: [&str; 16] = [
    "printf", "echo", "export", "eval", "test", "[", "[[", "read", "local", "declare", "readonly",
    "typeset", "set", "unset", "return", ":",
];

/// Words in front of a command that are not the command.
const LEADING: [&str; 17] = [
    "$", "#", ">", "%", "!", "{", "if", "then", "else", "elif", "while", "until", "do", "time",
    "sudo", "exec", "//!",
];

/// Programs that take a token as the value of an option or as part of an address.
const CLIENTS: [&str; 10] = [
    "curl", "wget", "http", "https", "xh", "aria2c", "websocat", "grpcurl", "httpie", "hurl",
];

/// An example that puts a token into the arguments of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// The line it stands on, counted from one.
    pub line: usize,
    /// The command.
    pub command: String,
}

/// Every example in `text` that puts a token into the arguments of a program.
#[must_use]
pub fn exposed(text: &str) -> Vec<Exposed> {
    let plain = unescaped(text);
    let holders = holders(&plain);
    let mut found = Vec::new();
    let mut joined = String::new();
    for (number, line) in plain.lines().enumerate() {
        joined.push_str(line.strip_suffix('\\').unwrap_or(line));
        if line.ends_with('\\') {
            joined.push(' ');
            continue;
        }
        let line = std::mem::take(&mut joined);
        found.extend(in_line(&line, &holders).into_iter().map(|command| Exposed {
            line: number + 1,
            command,
        }));
    }
    found
}

/// Removes the marks that man pages and string literals write around quotes.
fn unescaped(text: &str) -> String {
    let plain = text.replace("\\(dq", "\"").replace("\\\"", "\"");
    plain.replace(".Dl ", "").replace(".Ql ", "")
}

/// Variables that hold a token, by the value assigned to them or by their name.
fn holders(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines().filter(|line| line.contains("tokenctl")) {
        for (at, _) in line.match_indices('=') {
            let value = line
                .get(at + 1..)
                .unwrap_or_default()
                .trim_start_matches('"');
            if (value.starts_with("$(") || value.starts_with('`')) && gives_a_token(value) {
                names.push(name_before(line, at).to_owned());
            }
        }
        let words = line.split([' ', ';', ')', '"', '`']);
        let mut words = words.filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            if word == "--env-name" || (word == "read" && gives_a_token(line)) {
                let name = words.by_ref().find(|word| !word.starts_with('-'));
                names.extend(name.map(str::to_owned));
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn name_before(line: &str, at: usize) -> &str {
    let before = line.get(..at).unwrap_or_default();
    before
        .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .next()
        .unwrap_or_default()
}

/// Whether this command runs a `tokenctl` that prints a token.
fn gives_a_token(text: &str) -> bool {
    text.split("tokenctl ").skip(1).any(|rest| {
        let own = rest.split(['|', ';', ')', '`']).next().unwrap_or_default();
        own.split_whitespace()
            .any(|word| word == "get" || word == "--print")
    })
}

fn in_line(line: &str, holders: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    // Text between backticks is an example of its own in Markdown, and a substitution in a shell.
    let parts: Vec<&str> = line.split('`').collect();
    for (index, part) in parts.iter().enumerate() {
        found.extend(in_script(part, holders));
        let before = index.checked_sub(1).and_then(|before| parts.get(before));
        let client = before.and_then(|before| commands(before).pop());
        let client = client.is_some_and(|words| CLIENTS.contains(&program(&words).0));
        if client && gives_a_token(part) {
            found.push(line.trim().to_owned());
        }
    }
    let fed = ["xargs", "parallel"].map(|feeder| format!("| {feeder}"));
    let (before, _) = fed
        .iter()
        .find_map(|pipe| line.split_once(pipe.as_str()))
        .unwrap_or_default();
    if gives_a_token(before) {
        found.push(line.trim().to_owned());
    }
    found
}

fn in_script(script: &str, holders: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for words in commands(script) {
        for word in &words {
            for inner in inner(word) {
                found.extend(in_script(inner, holders));
            }
        }
        let (command, arguments) = program(&words);
        if command.is_empty() || BUILTINS.contains(&command) {
            continue;
        }
        let shown = arguments.iter().any(|word| holds_a_token(word, holders));
        if shown || (CLIENTS.contains(&command) && names_a_token(arguments)) {
            found.push(words.join(" "));
        }
    }
    found
}

/// The program that a command runs, and its arguments; empty if it only assigns variables.
fn program(words: &[String]) -> (&str, &[String]) {
    let assigns = |word: &str| {
        let name = word.split_once('=').map_or("", |(name, _)| name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let leads = |word: &str| LEADING.contains(&word) || assigns(word);
    let start = words.iter().position(|word| !leads(word));
    match start.and_then(|start| words.get(start..)) {
        Some([first, rest @ ..]) => (first, rest),
        _ => ("", &[]),
    }
}

/// Whether a shell puts a token in place of this word. The content of a substituted file is no argument.
fn holds_a_token(word: &str, holders: &[String]) -> bool {
    if word.starts_with('\'') {
        return false;
    }
    let word = word.split("<(").next().unwrap_or_default();
    word.split("$(").skip(1).any(gives_a_token)
        || word.split('$').skip(1).any(|rest| {
            let rest = rest.trim_start_matches('{');
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            let lower = name.to_lowercase();
            let called = ["token", "bearer", "jwt", "authorization"]
                .iter()
                .any(|part| lower.contains(part) && !lower.contains("tokend"))
                // The name of a file is a path.
                && !lower.ends_with("_file");
            called || holders.iter().any(|holder| holder == name)
        })
}

/// Whether a client gets a token or password as a literal argument.
fn names_a_token(arguments: &[String]) -> bool {
    arguments.iter().any(|word| {
        let lower = word.to_lowercase();
        // HTTPie reads the value of `NAME:@FILE` from the file.
        if lower.starts_with("authorization:@") {
            return false;
        }
        let option = lower.split('=').next().unwrap_or_default();
        matches!(
            option,
            "-u" | "--user" | "--oauth2-bearer" | "--password" | "--proxy-user"
        ) || [
            "authorization:",
            "bearer ",
            "access_token=",
            "?token=",
            "&token=",
        ]
        .iter()
        .any(|part| lower.contains(part))
    })
}

/// A script inside a word: a substitution, or text in quotes.
fn inner(word: &str) -> Vec<&str> {
    let mut scripts = Vec::new();
    for opening in ["$(", "<("] {
        if let Some((_, rest)) = word.split_once(opening) {
            scripts.push(rest.rsplit_once(')').map_or(rest, |(script, _)| script));
        }
    }
    if let Some(rest) = word.strip_prefix(['\'', '"']) {
        scripts.push(rest.strip_suffix(['\'', '"']).unwrap_or(rest));
    }
    scripts
}

/// The commands of a line, as words that keep their quotes.
fn commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word = String::new();
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in script.char_indices() {
        let rest = script.get(at + c.len_utf8()..).unwrap_or_default();
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            // An apostrophe in prose opens nothing.
            (None, '\'' | '"') if rest.contains(c) => quote = Some(c),
            (None, '(') if word.ends_with(['$', '<']) || depth > 0 => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, ' ' | '\t') if depth == 0 => {
                finish(&mut word, &mut commands);
                continue;
            }
            (None, '|' | ';' | '&' | '(' | ')') if depth == 0 => {
                finish(&mut word, &mut commands);
                commands.push(Vec::new());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    finish(&mut word, &mut commands);
    commands.retain(|words| !words.is_empty());
    commands
}

/// Ends a word. A word like `use:` is prose, and a command follows it.
fn finish(word: &mut String, commands: &mut Vec<Vec<String>>) {
    let prose = word.strip_suffix(':');
    if prose.is_some_and(|word| !word.is_empty() && word.chars().all(char::is_alphabetic)) {
        word.clear();
        commands.push(Vec::new());
    } else if !word.is_empty()
        && let Some(command) = commands.last_mut()
    {
        command.push(std::mem::take(word));
    }
}
