//! Follows the operations guide: its commands are executed as they stand there.

use std::{fs, path::Path};

use tokend_tests::systemd::unit_files;

/// One command of the guide, and the input typed after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command(pub(crate) String);

/// The commands of one section, in their order.
pub(crate) fn section(title: &str) -> Vec<Command> {
    let path = unit_files().join("OPERATIONS.md");
    let commands = read(&path, title);
    assert!(!commands.is_empty(), "{title} has no commands");
    commands
}

fn read(path: &Path, title: &str) -> Vec<Command> {
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {title}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let mut commands: Vec<Command> = Vec::new();
    let mut inside = false;
    for line in section.lines() {
        match line.strip_prefix("```") {
            Some(language) => inside = !inside && language == "console",
            None if !inside => {}
            None => match (line.strip_prefix("$ "), line.strip_prefix("> ")) {
                (Some(command), _) => commands.push(Command(command.to_owned())),
                (None, Some(more)) => {
                    let command = &mut commands.last_mut().unwrap().0;
                    command.push('\n');
                    command.push_str(more);
                }
                (None, None) => panic!("{title}: neither a command nor its continuation: {line}"),
            },
        }
    }
    commands
}

#[test]
fn every_command_of_the_guide_can_be_found() {
    let install = section("Install");
    assert_eq!(install[0], Command("sudo dpkg -i tokend_*.deb".into()));
    let account = section("The first account in five minutes");
    assert!(
        account[0]
            .0
            .starts_with("sudo tee /etc/tokend/accounts.d/ads.toml <<'END'\n[account.ads]\n")
    );
    assert!(account[0].0.ends_with("\nEND"));
    assert!(account.iter().any(|it| it.0.ends_with("tokenctl get ads")));
}
