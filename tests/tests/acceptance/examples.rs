//! Examples in documents and help: none shows a token to other users, and every script example fails if there is no token.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tokend_harness::{Site, demand::carried_out, hostile::raw::Raw};
use tokend_provider_simulator::spec::Api;
use tokend_tests::examples::exposed;

use crate::stage::Stage;

/// The files with examples for a shell.
const DOCUMENTS: [&str; 3] = [
    "README.md",
    "client/tokenctl/man/tokenctl.1",
    "client/tokenctl/src/help.rs",
];

#[test]
fn no_example_puts_a_token_into_arguments() {
    let root = root();
    let mut wrong = Vec::new();
    let mut read = 0;
    for file in texts(&root) {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        read += 1;
        let place = file.strip_prefix(&root).unwrap().display().to_string();
        for found in exposed(&text) {
            wrong.push(format!("{place}:{}: {}", found.line, found.command));
        }
    }
    assert!(read > 300, "only {read} files were read");
    assert!(
        wrong.is_empty(),
        "every local user can read the arguments of a program; let the token go through standard input \
         (`tokenctl get ads --format header | curl -fsS -H @- URL`):\n{}",
        wrong.join("\n")
    );
}

#[test]
fn a_token_in_arguments_is_found_however_it_gets_there() {
    let shown = [
        r#"$ curl -H "$(tokenctl get ads --format header)" https://ads.example.com/"#,
        r#".Dl curl -H \(dq$(tokenctl get ads --format header)\(dq https://ads.example.com/"#,
        r#"  curl -H \"$(tokenctl get ads --format header)\" ...   use it"#,
        r#"TOKEN=$(tokenctl get ads) && curl -H "Authorization: Bearer $TOKEN" https://ads.example.com/"#,
        "x=$(tokenctl get ads)\nwget --header=\"Authorization: Bearer ${x}\" https://ads.example.com/",
        "eval \"$(tokenctl get ads --format env --env-name ADS)\"\ncurl --oauth2-bearer \"$ADS\" https://ads.example.com/",
        r#"curl -s -u "you:$(tokenctl get ads)" https://ads.example.com/"#,
        "curl -u you:hunter2 https://ads.example.com/",
        r#"curl "https://ads.example.com/?a=1&access_token=$ACCESS_TOKEN""#,
        "curl https://ads.example.com/?access_token=$(tokenctl get ads)",
        r#"curl -H "Authorization: Bearer `tokenctl get ads`" https://ads.example.com/"#,
        "curl \\\n  -H \"$(tokenctl get ads --format header)\" \\\n  https://ads.example.com/",
        "tokenctl get ads | xargs -I{} curl -H 'X-Token: {}' https://ads.example.com/",
        r#"git -c http.extraHeader="$(tokenctl get git --format header)" clone https://git.example.com/x"#,
        r#"docker run -e ACCESS_TOKEN="$(tokenctl get ads)" image"#,
        r#"env ACCESS_TOKEN="$(tokenctl get ads)" program"#,
        "sh -c 'curl -H \"$(tokenctl get ads --format header)\" https://ads.example.com/'",
        "bash <<END\ncurl -H \"$(tokenctl get ads --format header)\" https://ads.example.com/\nEND",
        "sudo -u deploy psql \"password=$(tokenctl get db)\"",
        "NEW=$(printf %s \"$OLD\" | tokenctl reject ads --print); http GET https://ads.example.com/ \"X-Token: $NEW\"",
        "tokenctl get ads | while read -r t; do curl -H \"X-Token: $t\" https://ads.example.com/; done",
        "| a request | `curl -H \"Authorization: Bearer $ACCESS_TOKEN\" https://ads.example.com/` |",
        "if curl -fsS -H \"$(tokenctl get ads --format header)\" https://ads.example.com/; then echo yes; fi",
        "curl -H 'Authorization: Bearer TOKEN' https://ads.example.com/",
    ];
    for text in shown {
        assert!(!exposed(text).is_empty(), "not found: {text}");
    }
    let hidden = [
        "$ tokenctl get ads --format header | curl -fsS -H @- https://ads.example.com/",
        r#"header=$(tokenctl get ads --format header) && printf '%s\n' "$header" | curl -fsS -H @- https://ads.example.com/"#,
        "eval \"$(tokenctl get ads --format env)\"\n./program",
        "ACCESS_TOKEN=$(tokenctl get ads) ./program",
        r#"export ACCESS_TOKEN="$(tokenctl get ads)""#,
        r#"printf %s "$TOKEN" | tokenctl reject ads --print"#,
        "curl -H @<(tokenctl get ads --format header) https://ads.example.com/",
        "t=$(tokenctl get ads) && http https://ads.example.com/ Authorization:@<(printf 'Bearer %s' \"$t\")",
        "[ -n \"$(tokenctl get ads)\" ] && echo yes",
        "the token of `tokenctl get ads` doesn't go to `curl` by $TOKEND_SOCKET",
        "curl http://127.0.0.1/log",
    ];
    for text in hidden {
        assert_eq!(exposed(text), [], "{text}");
    }
}

#[test]
fn the_examples_for_curl_keep_the_token_to_themselves_and_fail_without_one() {
    if !carried_out("examples with curl", has_curl()) {
        return;
    }
    let stage = Stage::of(Api::JwtApi);
    let daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    let open = open_api();
    let api = format!("{}/", open.http());
    let examples = examples();
    assert!(examples.len() >= 6, "{examples:#?}");
    for example in &examples {
        let line = example
            .replace("https://ads.example.com/v1/project/list", &api)
            .replace(" URL", &format!(" {api}"))
            .replace(" ads ", " it ");
        let (code, said) = shell(&stage.site, &line);
        assert_eq!((code, said.as_str()), (Some(0), "open"), "{line}");
        let arguments = fs::read_to_string(stage.site.path().join("arguments")).unwrap();
        assert!(
            arguments.lines().any(|it| ["@-", "-"].contains(&it)) && !arguments.contains(&token),
            "{arguments}"
        );
    }
    daemon.terminate().unwrap();
    for example in examples {
        let line = example.replace("https://ads.example.com/v1/project/list", &api);
        let line = line.replace(" URL", &format!(" {api}"));
        let asked = stage.site.path().join("arguments");
        drop(fs::remove_file(&asked));
        // This API answers every request, so that only `tokenctl` can fail.
        assert_eq!(shell(&stage.site, &line).0, Some(69), "{line}");
        if line.contains("&&") {
            assert!(!asked.exists(), "curl was started without a token: {line}");
        }
    }
}

/// `eval` of nothing succeeds, and a variable keeps its old value.
#[test]
fn the_examples_that_export_a_token_fail_without_one() {
    for file in texts(&root()) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for wrong in [
            "eval \"$(tokenctl",
            r#"eval \"$(tokenctl"#,
            r"eval \(dq$(tokenctl",
        ] {
            assert!(!text.contains(wrong), "{}: {wrong}", file.display());
        }
    }
    let stage = Stage::of(Api::JwtApi);
    let daemon = stage.site.start().unwrap();
    let token = stage.site.get("it").unwrap();
    let examples = exporting();
    assert_eq!(examples.len(), 3, "{examples:#?}");
    for example in &examples {
        let line = format!("{example} && printf %s \"$ACCESS_TOKEN$ADS_TOKEN\"");
        assert_eq!(
            shell(&stage.site, &line),
            (Some(0), token.clone()),
            "{line}"
        );
    }
    daemon.terminate().unwrap();
    for example in examples {
        assert_eq!(shell(&stage.site, &example).0, Some(69), "{example}");
    }
}

/// The examples with `eval` in the same files, for an account that exists.
fn exporting() -> Vec<String> {
    let mut examples = Vec::new();
    for file in DOCUMENTS {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let text = text.replace("\\\"", "\"").replace("\\(dq", "\"");
        for line in text.lines().filter(|line| line.contains("&& eval \"")) {
            let (_, begun) = line.split_once("vars=").unwrap();
            let (end, _) = begun.match_indices('"').nth(1).unwrap();
            let example = begun.get(..=end).unwrap().replace(" ads ", " it ");
            examples.push(format!("vars={example}"));
        }
    }
    examples
}

#[test]
fn the_first_account_of_the_readme_passes_check_on_any_machine() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("## The first account").unwrap();
    let (_, rest) = rest.split_once("```toml\n").unwrap();
    let (block, after) = rest.split_once("```").unwrap();
    let site = Site::new().unwrap();
    let directory = site.path().display().to_string();
    let block = block.replace("/etc/tokend", &directory);
    fs::write(site.configuration(), block).unwrap();
    // As the line below it says, with the output it shows.
    let (_, line) = after.split_once("`sudo ").unwrap();
    let (line, _) = line.split_once('`').unwrap();
    let line = line
        .replace("/etc/tokend", &directory)
        .replace("-o tokend ", "");
    let put = format!("echo hunter2 | {line}");
    assert!(
        Command::new("sh")
            .args(["-c", &put])
            .status()
            .unwrap()
            .success()
    );
    let output = Command::new(&site.binaries().tokend)
        .args([
            "check".as_ref(),
            "--config".as_ref(),
            site.configuration().as_os_str(),
        ])
        .args(["--state-dir".as_ref(), site.state().as_os_str()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

/// Every file of the repository that people read, except tests, which show wrong examples on purpose.
fn texts(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            let inner_tests = name == "tests" && directory != root();
            if !inner_tests && !["target", ".git", "corpus", "fixtures"].contains(&name.as_str()) {
                files.extend(texts(&path));
            }
        } else if kind.is_file() && name != "Cargo.lock" && name != "tests.rs" {
            files.push(path);
        }
    }
    files
}

/// The examples with curl that documents and help show, each as a script that `bash` runs.
fn examples() -> Vec<String> {
    let mut examples = Vec::new();
    for file in DOCUMENTS {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let text = text
            .replace("\\\"", "\"")
            .replace("\\\\n", "\\n")
            .replace("\\en", "\\n");
        let text = text.replace("&&\n", "&& ");
        for line in text.lines().filter(|line| {
            ["-H @- ", "-K - "]
                .iter()
                .any(|it| line.contains(&format!("curl -fsS {it}")))
        }) {
            let line = line
                .trim_start_matches(".Dl ")
                .trim()
                .trim_start_matches("$ ");
            let line = line.trim_end_matches(['"', ';']).trim_end_matches('"');
            // In prose it is only shown; the same words elsewhere are run.
            if line.contains('`') {
                continue;
            }
            let piped = line.starts_with("tokenctl");
            examples.push(match piped {
                true => format!("set -o pipefail; {line}"),
                false => line.to_owned(),
            });
        }
    }
    examples
}

/// Runs a script in `bash` with this place's `tokenctl`, and a curl that records its arguments.
fn shell(site: &Site, script: &str) -> (Option<i32>, String) {
    let programs = site.path().join("programs");
    fs::create_dir_all(&programs).unwrap();
    let curl = programs.join("curl");
    let written = site.path().join("arguments");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\nexec /usr/bin/curl \"$@\"\n",
        written.display()
    );
    fs::write(&curl, text).unwrap();
    fs::set_permissions(&curl, fs::Permissions::from_mode(0o755)).unwrap();
    let tokenctl = site.binaries().tokenctl.parent().unwrap();
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        programs.display(),
        tokenctl.display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", script]).env("PATH", path);
    let output = command
        .env("TOKEND_SOCKET", site.socket())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

/// An API that answers 200 even without a token, where a pipeline hides most.
fn open_api() -> Raw {
    Raw::answering("200 OK", "connection: close\r\n", "open")
}

fn has_curl() -> anyhow::Result<()> {
    anyhow::ensure!(Path::new("/usr/bin/curl").exists(), "there is no curl");
    Ok(())
}
