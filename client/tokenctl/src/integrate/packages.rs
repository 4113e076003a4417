//! Consumers that use a package of ours in their own language, which renews tokens and, but for Rust's and Go's, reports refused ones.
//!
//! Owns their entries; the rules for them are in `consumer`.

use super::consumer::{CONFIGURATION, Consumer};

const URLS: (&str, &str) = (
    CONFIGURATION,
    "[account.ACCOUNT.api]\nurls = \"https://api.example.com\"\n",
);

pub(super) const GO_HTTP: Consumer = Consumer {
    name: "go-http",
    about: "a program in Go that asks tokend's HTTP socket, and reports a token that the API refuses",
    needs: "Go 1.19 or newer, and tokend-http.socket; replace the address",
    parts: &[
        ("main.go", include_str!("../../../examples/go/main.go")),
        (
            "a shell",
            "TOKEND_HTTP_SOCKET=/run/tokend/http.sock go run main.go ACCOUNT https://api.example.com/\n",
        ),
    ],
};

pub(super) const NODE: Consumer = Consumer {
    name: "node",
    about: "a program for Node that asks an API with the token, renewed and replaced by itself",
    needs: "Node 18 or newer, tokend-http.socket, and npm install of client/node; replace the host everywhere",
    parts: &[
        URLS,
        (
            "ask.mjs",
            r#"import { tokenFetch } from "tokend";

const answer = await tokenFetch("ACCOUNT")("https://api.example.com/");
if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
console.log(await answer.text());
"#,
        ),
    ],
};

pub(super) const PYTHON_PACKAGE: Consumer = Consumer {
    name: "python-package",
    about: "a program in Python that asks an API with the token, renewed and replaced by itself",
    needs: "Python 3.8 or newer, tokend-http.socket, and pip install 'client/python[requests]'; replace the host",
    parts: &[
        URLS,
        (
            "a Python program",
            r#"import requests
from tokend.requests import TokendAuth

answer = requests.get("https://api.example.com/", auth=TokendAuth("ACCOUNT"))
answer.raise_for_status()
print(answer.text)
"#,
        ),
    ],
};

pub(super) const RUST: Consumer = Consumer {
    name: "rust",
    about: "a program in Rust that asks an API with the token",
    needs: "Rust 1.85 or newer, and tokend's source; replace its path and the address",
    parts: &[
        (
            "Cargo.toml",
            r#"[dependencies]
tokend-client = { path = "../tokend/client", default-features = false, features = ["blocking", "http"] }
ureq = "3"
"#,
        ),
        (
            "src/main.rs",
            r#"use std::process::ExitCode;

use tokend_client::BlockingClient;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let token = match BlockingClient::lazy().token("ACCOUNT") {
        Ok(token) => token,
        Err(error) => {
            eprintln!("{error}; {}", error.advice().unwrap_or_default());
            return Ok(ExitCode::FAILURE);
        }
    };
    let request = ureq::get("https://api.example.com/");
    let mut answer = request.header("Authorization", token.authorization()?).call()?;
    println!("{}", answer.body_mut().read_to_string()?);
    Ok(ExitCode::SUCCESS)
}
"#,
        ),
    ],
};
